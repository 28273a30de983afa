package runc_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"reconciler.dev/reconciler/internal/runctest"
	"reconciler.dev/reconciler/pkg/runc"
)

// Where the example below works. TestExample sets them: it needs root and a runtime, which an example cannot ask for.
var dir, bundle string

func Example() {
	ctx := context.Background()
	if err := runc.SetSubreaper(); err != nil { // once, so that containers become children and can be waited for
		log.Fatal(err)
	}
	r, err := runc.New(runc.Config{
		Root:     filepath.Join(dir, "root"),
		LogDir:   filepath.Join(dir, "log"),
		StateDir: filepath.Join(dir, "state"),
	})
	if err != nil {
		log.Fatal(err)
	}
	c, err := r.Create(ctx, "hello", bundle, runc.CreateOptions{Stdout: os.Stdout})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Delete(ctx, runc.DeleteOptions{})
	if err := c.Start(ctx); err != nil {
		log.Fatal(err)
	}
	if err := c.Kill(ctx, syscall.SIGTERM); err != nil {
		log.Fatal(err)
	}
	status, err := c.Wait(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(status, "- as a shell has it:", status.Shell())
}

func TestExample(t *testing.T) {
	runctest.Require(t, runctest.Root, runctest.Runc, runctest.Pidfd)
	parent := runctest.CgroupParent(t)
	dir = t.TempDir()
	// Pid 1 of a pid namespace ignores SIGTERM unless it has a handler: hence the host's namespace.
	bundle = runctest.Bundle(t, runctest.BundleOptions{Args: []string{"sleep", "600"}, HostPID: true, CgroupsPath: parent + "/hello"})
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout := os.Stdout
	os.Stdout = w
	Example()
	os.Stdout = stdout
	w.Close()
	got, err := io.ReadAll(r)
	r.Close()
	if want := "signal 15 - as a shell has it: 143\n"; err != nil || string(got) != want {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
}
