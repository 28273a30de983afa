// Sim looks for an order of events in which a promise is broken, by running the planner, the executor and the store
// against a simulated node: see docs/simulation.md. It exits with 1 if it found one, and prints the shortest it could make
// of it.
//
//	hack/sim --seeds 10000        so many runs, from --seed on
//	hack/sim --seeds 1 --seed 42 -v   what happens in one
//	hack/sim --mutants            is it able to find what hack/sim/mutants.txt breaks?
package main

import (
	"flag"
	"fmt"
	"os"
	"syscall"
	"time"

	"reconciler.dev/reconciler/internal/sim"
)

func main() {
	seeds := flag.Uint64("seeds", 10_000, "how many runs")
	first := flag.Uint64("seed", 1, "the first one's seed")
	steps := flag.Int("steps", 0, "of a run with faults, at most; 0 for what is usual")
	verbose := flag.Bool("v", false, "print what happens in each run")
	mutants := flag.String("mutants", "", "a file of planted bugs: say in how many runs each is found")
	flag.Parse()
	options := sim.Options{Trace: *verbose, Steps: *steps}
	var err error
	if *mutants != "" {
		err = tryMutants(*mutants, *seeds)
	} else {
		err = search(*first, *seeds, options)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "sim:", err)
		os.Exit(1)
	}
}

// search runs seeds until one breaks a promise.
func search(first, seeds uint64, o sim.Options) error {
	steps := 0
	struck := make([]int, len(sim.Faults()))
	for seed := first; seed < first+seeds; seed++ {
		r := sim.Run(seed, o)
		steps += r.Steps
		for i, n := range r.Struck {
			struck[i] += n
		}
		if o.Trace {
			fmt.Printf("# seed %d\n%s", seed, r.Trace)
		}
		if r.Broken != nil {
			small := sim.Shrink(r, o)
			return fmt.Errorf("seed %d (run %d) breaks a promise: %w\n\n# %v\n%s", seed, seed-first+1, r.Broken, small.Broken, small.Trace)
		}
	}
	for i, name := range sim.Faults() {
		fmt.Printf("%9d times %s\n", struck[i], name)
	}
	fmt.Printf("%d runs, %d steps, 0 promises broken; %.0f steps a second of processor time\n", seeds, steps, float64(steps)/busy().Seconds())
	return nil
}

// busy is the processor time that this program has used.
func busy() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
