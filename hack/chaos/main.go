// Command chaos injects every fault there is, then asks whether a promise was broken. Under a real runtime it keeps twenty
// containers of several kinds that log their own starts and ends. Then, in rounds drawn from a seed, it kills, stops and
// upgrades our processes, some at a chosen point between two effects, has the runtime hang, fail, lie or die, takes files
// and disks away, and does to containers and manifests what people do. After each round the world must settle, and an
// oracle compares three things only: what the containers logged, its own list of what it did, and the records of exits.
// It imports no package of the product.
//
// Exit status: 0 if no promise was broken, 1 if one was (the seed is printed, the scratch root is kept), 2 for an error.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"reconciler.dev/reconciler/hack/internal/scratch"
)

// options are the flags.
type options struct {
	runtime   string
	seed      uint64
	faults    int
	together  int
	duration  time.Duration
	only      string
	oldKernel bool
	verbose   bool
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "payload" {
		payload(os.Args[2:])
		return
	}
	var o options
	flag.StringVar(&o.runtime, "runtime", "runc", "name or `path` of the OCI runtime: runc, crun")
	flag.Uint64Var(&o.seed, "seed", 1, "of the random choices")
	flag.IntVar(&o.faults, "faults", 200, "how many faults to inject")
	flag.DurationVar(&o.duration, "duration", 0, "inject faults for that long instead")
	flag.IntVar(&o.together, "together", 3, "the most faults of one round; with 1 what was broken is of that one")
	flag.StringVar(&o.only, "only", "", "of the faults, take those with this `text` in their names")
	flag.BoolVar(&o.oldKernel, "old-kernel", false, "hide what Linux 6.15 tells of reaped processes")
	flag.BoolVar(&o.verbose, "v", false, "tell all that is done")
	markdown := flag.String("markdown", "", "write the report to this `file` as well")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	report, broken, err := chaos(ctx, o)
	fmt.Print(report)
	if *markdown != "" && report != "" {
		err = errors.Join(err, os.WriteFile(*markdown, []byte(report), 0o644))
	}
	for _, b := range broken {
		fmt.Fprintf(os.Stderr, "BROKEN: %s: %s\n", b.class, b.text)
	}
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(2)
	case len(broken) > 0:
		fmt.Fprintf(os.Stderr, "chaos: %d promises broken; again: chaos --runtime %s --seed %d --faults %d\n", len(broken), o.runtime, o.seed, o.faults)
		os.Exit(1)
	}
	fmt.Printf("chaos: nothing broken on %s, seed %d\n", o.runtime, o.seed)
}

// chaos is one run; it returns what was broken.
func chaos(ctx context.Context, o options) (report string, broken []complaint, err error) {
	oci, err := scratch.FindRuntime(o.runtime)
	if err != nil {
		return "", nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return "", nil, err
	}
	w, err := scratch.New(filepath.Dir(self))
	if err != nil {
		return "", nil, err
	}
	defer func() {
		keep := len(broken) > 0 || err != nil && !errors.Is(err, context.Canceled)
		w.Clear(keep)
		if keep {
			fmt.Fprintln(os.Stderr, "chaos: logs and store are kept in", w.Dir)
		}
	}()
	w.Runtime = oci
	if o.oldKernel {
		w.Launcher = []string{filepath.Join(filepath.Dir(self), "oldkernel")}
	}
	k, err := newKiller(w, o, self)
	if err != nil {
		return "", nil, err
	}
	began := time.Now()
	err = k.rampage(ctx, o)
	if err == nil {
		err = k.quiet(ctx)
	}
	if errors.Is(err, scratch.ErrNotSeen) || errors.Is(err, scratch.ErrEnded) {
		k.violated(other, "%v", err) // what the logs and records would tell is not complete
		err = nil
	}
	if err != nil {
		return "", k.broken, err
	}
	return k.report(time.Since(began)), k.broken, ctx.Err()
}

// newKiller prepares the world, with small disks that can be filled.
func newKiller(w *scratch.World, o options, self string) (*killer, error) {
	k := &killer{
		w: w, runtime: w.Runtime, tells: tellsReaped() && !o.oldKernel,
		rng: rand.New(rand.NewPCG(o.seed, o.seed)), verbose: o.verbose,
		log: book{path: w.Path("out", "log")}, written: map[string]string{}, bare: map[string]bool{}, excused: map[string]bool{}, known: map[string]bool{}, tally: newTally(),
	}
	var err error
	if k.gate, err = newGate(w); err != nil {
		return nil, err
	}
	for _, disk := range []struct {
		name      string
		megabytes int
		place     *string
	}{{"state", 64, &w.State}, {"run", 32, &w.Run}, {"logs", 16, &w.Logs}} {
		if *disk.place, err = w.Disk(disk.name, disk.megabytes); err != nil {
			return nil, err
		}
	}
	for _, kind := range kinds {
		k.written[kind.name] = "0"
	}
	return k, errors.Join(w.OwnPrograms(), makeContainers(w, self))
}
