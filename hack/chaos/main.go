// Command chaos kills at random, then asks whether a promise was broken. Under a real runtime it keeps containers of all
// kinds that log their own starts and ends, and kills inits, controller, guard and reaper, seeded, some of them at a
// chosen point between two effects: a wrapper around the runtime holds a create, start or delete still meanwhile. Then
// the faults stop, the world must settle, and an oracle compares three things only: what the containers logged, its own
// list of kills, and `exits -o json`. It imports no package of the product.
//
// Exit status: 0 if no promise was broken, 1 if one was (the seed is printed, the scratch root is kept), 2 for an error.
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

func main() {
	if len(os.Args) > 1 && os.Args[1] == "payload" {
		payload(os.Args[2:])
		return
	}
	oci := flag.String("runtime", "runc", "name or `path` of the OCI runtime: runc, crun")
	seed := flag.Uint64("seed", 1, "of the random choices")
	kills := flag.Int("kills", 200, "how many processes to kill")
	verbose := flag.Bool("v", false, "tell each kill and verb")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	broken, err := chaos(ctx, *oci, *seed, *kills, *verbose)
	for _, b := range broken {
		fmt.Fprintln(os.Stderr, "BROKEN:", b)
	}
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(2)
	case len(broken) > 0:
		fmt.Fprintf(os.Stderr, "chaos: %d promises broken; again: chaos --runtime %s --seed %d --kills %d\n", len(broken), *oci, *seed, *kills)
		os.Exit(1)
	}
	fmt.Printf("chaos: nothing broken on %s, seed %d\n", *oci, *seed)
}

// chaos is one run; it returns what was broken.
func chaos(ctx context.Context, oci string, seed uint64, kills int, verbose bool) (broken []string, err error) {
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
	defer func() {
		keep := len(broken) > 0 || err != nil && !errors.Is(err, context.Canceled)
		w.Clear(keep)
		if keep {
			fmt.Fprintln(os.Stderr, "chaos: logs and store are kept in", w.Dir)
		}
	}()
	w.Runtime = oci
	g, err := newGate(w)
	if err != nil {
		return nil, err
	}
	if err := makeContainers(w, self); err != nil {
		return nil, err
	}
	k := newKiller(w, g, seed, verbose)
	began := time.Now()
	err = k.rampage(ctx, kills)
	if err == nil {
		err = k.quiet(ctx)
	}
	if errors.Is(err, scratch.ErrNotSeen) || errors.Is(err, scratch.ErrEnded) {
		return append(k.broken, err.Error()), nil // what the logs and records would tell is not complete
	}
	if err != nil {
		return k.broken, err
	}
	evidence, err := k.evidence()
	if err != nil {
		return k.broken, err
	}
	broken = append(k.broken, judge(evidence)...)
	report(os.Stdout, k.tally, evidence, time.Since(began))
	return broken, nil
}
