// Command bench measures the product against an ideal loop around the same runtime, in one run on one machine: each round
// of an arm of ours is followed by a round of the ideal one, so that both meet the same weather. What is timed ends with
// the first thing that a container does: it writes its name to a FIFO, in both arms.
//
// Exit status: 0 if all limits are kept, 1 if one is not, 2 for an error.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"reconciler.dev/reconciler/hack/internal/scratch"
)

// many is the size of a node for the burst and the idle arm.
const many = 50

func main() {
	if len(os.Args) == 3 && os.Args[1] == "payload" {
		payload(os.Args[2])
		return
	}
	oci := flag.String("runtime", "runc", "name or `path` of the OCI runtime of both sides: runc, crun")
	rounds := flag.Int("rounds", 30, "of the restart and the manifest arm")
	window := flag.Duration("window", 20*time.Second, "over which the idle node is watched")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	rows, err := bench(ctx, *oci, *rounds, *window)
	fmt.Println(*oci)
	kept := show(os.Stdout, rows)
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	case !kept:
		os.Exit(1)
	}
}

// payload is what runs in the containers.
func payload(name string) {
	fifo, err := os.OpenFile("/out/first", os.O_WRONLY, 0)
	if err != nil {
		panic(err)
	}
	fmt.Fprintln(fifo, name)
	fifo.Close()
	for {
		time.Sleep(1000 * time.Hour)
	}
}

// bench runs all arms; on an error the rows are those measured so far.
func bench(ctx context.Context, oci string, rounds int, window time.Duration) (rows []row, err error) {
	oci, err = scratch.FindRuntime(oci)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	w, err := scratch.New(filepath.Dir(self))
	if err != nil {
		return nil, err
	}
	defer w.Clear(false)
	w.Runtime = oci
	if err := w.InMemory("run"); err != nil {
		return nil, err
	}
	if err := w.Rootfs(self); err != nil {
		return nil, err
	}
	s, err := listen(w.Path("out", "first"))
	if err != nil {
		return nil, err
	}
	defer s.Close()
	i, err := newIdeal(w)
	if err != nil {
		return nil, err
	}
	defer i.Close()
	if err := w.Start(ctx); err != nil {
		return nil, err
	}
	b := &bencher{w: w, starts: s, ideal: i}
	arms := []func(context.Context) error{
		func(ctx context.Context) error { return b.restart(ctx, rounds) },
		func(ctx context.Context) error { return b.manifest(ctx, rounds) },
		func(ctx context.Context) error { return b.burst(ctx, max(3, rounds/10)) },
		func(ctx context.Context) error { return b.idle(ctx, window) },
	}
	for _, arm := range arms {
		if err := arm(ctx); err != nil {
			return b.rows, errors.Join(err, context.Cause(ctx))
		}
	}
	return b.rows, w.Down(ctx)
}
