package runc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"reconciler.dev/reconciler/pkg/runc"
)

// What the examples work with. TestExamples sets it: it takes root and a runtime, which an example cannot ask for.
var (
	runtime, dir, bundle string

	r *runc.Runtime
)

func Example() {
	ctx := context.Background()
	if err := runc.SetSubreaper(); err != nil { // once, so that containers become children and can be waited for
		log.Fatal(err)
	}
	r, err := runc.New(runc.Config{
		Path:     runtime,
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

func ExampleRuntime_List() {
	states, damaged, err := r.List(context.Background())
	if err != nil {
		log.Fatal(err) // and not: there are none
	}
	for _, s := range states {
		fmt.Println(s.ID, "is", s.Status)
	}
	for _, d := range damaged {
		fmt.Println(d.ID, "is damaged:", d.Err)
	}
}

func ExampleContainer_Pause() {
	ctx := context.Background()
	c, err := r.Container("web")
	if err != nil {
		log.Fatal(err)
	}
	if err := c.Pause(ctx); err != nil && !errors.Is(err, runc.ErrPaused) {
		log.Fatal(err)
	}
	state, err := c.State(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(state.Status)
	if err := c.Resume(ctx); err != nil {
		log.Fatal(err)
	}
}

func ExampleContainer_Update() {
	c, err := r.Container("web")
	if err != nil {
		log.Fatal(err)
	}
	const limit = 64 << 20 // bytes
	err = c.Update(context.Background(), &specs.LinuxResources{
		Memory: &specs.LinuxMemory{Limit: new(int64(limit))},
		Pids:   &specs.LinuxPids{Limit: new(int64(100))},
	})
	switch {
	case errors.Is(err, runc.ErrNotRunning):
		fmt.Println("too late")
	case err != nil:
		fmt.Println(err) // the kernel's reason among it
	default:
		fmt.Println("in force")
	}
}

// What a process writes goes to a pipe of ours, here; a net.Conn does as well, in both directions.
func ExampleContainer_Exec() {
	ctx := context.Background()
	c, err := r.Container("web")
	if err != nil {
		log.Fatal(err)
	}
	ours, theirs := io.Pipe()
	x, err := c.Exec(ctx, &specs.Process{
		Args: []string{"sh", "-c", "echo hello; exit 3"},
		Env:  []string{"PATH=/bin"},
		Cwd:  "/",
	}, runc.ExecOptions{Connections: &runc.Connections{Stdout: theirs}})
	if err != nil {
		log.Fatal(err)
	}
	defer x.Delete()
	io.Copy(os.Stdout, ours) // until the relay closes it
	status, err := x.Wait(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(status)
}

func ExampleTtyRelay_Resize() {
	ctx := context.Background()
	c, err := r.Container("web")
	if err != nil {
		log.Fatal(err)
	}
	stdin, keys := io.Pipe()
	screen, stdout := io.Pipe()
	x, err := c.Exec(ctx, &specs.Process{
		Args:     []string{"sh", "-c", "read line; exec busybox stty size"},
		Env:      []string{"PATH=/bin"},
		Cwd:      "/",
		Terminal: true,
	}, runc.ExecOptions{Connections: &runc.Connections{Stdin: stdin, Stdout: stdout}})
	if err != nil {
		log.Fatal(err)
	}
	defer x.Delete()
	if err := x.Tty().Resize(132, 43); err != nil {
		log.Fatal(err)
	}
	keys.Write([]byte("\r"))
	shown, err := io.ReadAll(screen) // with the echo of the key
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(strings.TrimLeft(string(shown), "\r\n"))
}

func ExampleExitStatus_Shell() {
	exited, killed := runc.ExitStatus{Code: 137}, runc.ExitStatus{Signal: syscall.SIGKILL}
	fmt.Println(exited, "is", exited.Shell())
	fmt.Println(killed, "is", killed.Shell())
	// Output:
	// exit status 137 is 137
	// signal 9 is 137
}

func ExampleValidateID() {
	fmt.Println(runc.ValidateID("web.1"))
	fmt.Println(runc.ValidateID("../web"))
	// Output:
	// <nil>
	// invalid container id "../web": must start with a letter, a digit or "_"
}
