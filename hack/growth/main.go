// Command growth measures how the controller's costs grow with the number of containers. Each bar is a ratio of two
// measurements of one run on one machine. All containers are wanted Stopped: what is measured is manifests, records and
// answers, no runtime.
//
// Exit status: 0 if all bars are kept, 1 if one is not, 2 for an error.
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

	"reconciler.dev/reconciler/hack/internal/scratch"
)

func main() {
	many := flag.Int("many", 10_000, "containers of a large node; bars are meant for 10000")
	bin := flag.String("bin", "", "directory of the programs (that of this one)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	rows, err := growth(ctx, *bin, *many)
	kept := show(os.Stdout, rows)
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "growth:", err)
		os.Exit(2)
	case !kept:
		os.Exit(1)
	}
}

// growth measures everything; on an error the rows are those measured so far.
func growth(ctx context.Context, bin string, many int) (rows []row, err error) {
	if bin == "" {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		bin = filepath.Dir(self)
	}
	// A resync looks at everything, which is not what is measured here.
	if err := os.Setenv("RECONCILER_RESYNC", "1h"); err != nil {
		return nil, err
	}
	for _, own := range []bool{false, true} {
		n, err := measure(ctx, bin, own, many)
		if err != nil {
			return rows, err
		}
		kind := "shared bundle"
		if own {
			kind = "a bundle each"
		}
		rows = append(rows,
			ratio(fmt.Sprintf("CPU a dropped manifest, %s: %d, 100", kind, many), n.dropMany, n.dropFew, 1.3),
			ratio(fmt.Sprintf("edit until planned, %s: among %d, 10", kind, many), n.editAmongMany, n.editAmongFew, 2))
		if !own {
			rows = append(rows, ratio("get of 1000, 10", n.getMany, n.getFew, 5))
		}
	}
	return rows, nil
}

// measure has nodes of several sizes. What is timed by the clock alternates between a small and a large one, so that both
// meet the same weather.
func measure(ctx context.Context, bin string, own bool, many int) (n numbers, err error) {
	err = inWorld(ctx, bin, own, func(ctx context.Context, small *world) error {
		if _, err := small.drop(ctx, 0, 10); err != nil {
			return err
		}
		err := inWorld(ctx, bin, own, func(ctx context.Context, w *world) error {
			if _, err := w.drop(ctx, 0, 1000); err != nil {
				return err
			}
			for range rounds {
				if err := errors.Join(small.get(ctx, &n.getFew), w.get(ctx, &n.getMany)); err != nil {
					return err
				}
			}
			return nil
		})
		for range 3 {
			err = errors.Join(err, inWorld(ctx, bin, own, func(ctx context.Context, w *world) error {
				cpu, err := w.drop(ctx, 0, 100)
				n.dropFew = append(n.dropFew, cpu)
				return err
			}))
		}
		if err != nil {
			return err
		}
		return inWorld(ctx, bin, own, func(ctx context.Context, w *world) error {
			cpu, err := w.drop(ctx, 0, many)
			if err != nil {
				return err
			}
			n.dropMany = append(n.dropMany, cpu)
			for round := range rounds {
				// Each is edited when both are quiet, the one that is not first having waited a little longer.
				err := errors.Join(small.quiet(ctx), w.quiet(ctx),
					small.edit(ctx, round%10, &n.editAmongFew), w.edit(ctx, round*(many-1)/(rounds-1), &n.editAmongMany))
				if err != nil {
					return err
				}
			}
			return nil
		})
	})
	return n, err
}

// inWorld has f work with a controller in a world of its own.
func inWorld(ctx context.Context, bin string, own bool, f func(context.Context, *world) error) error {
	s, err := scratch.New(bin)
	if err != nil {
		return err
	}
	defer s.Clear(false)
	w, err := newWorld(s, own)
	if err != nil {
		return err
	}
	if err := s.Start(ctx); err != nil {
		return err
	}
	if err := f(ctx, w); err != nil {
		return err
	}
	return s.Down(ctx)
}
