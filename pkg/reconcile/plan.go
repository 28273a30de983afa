package reconcile

import (
	"maps"
	"slices"
	"time"

	"reconciler.dev/reconciler/pkg/observed"
	"reconciler.dev/reconciler/pkg/store"
)

// Plan returns one step for each name and when to look again. It is pure: it reads its arguments and nothing else, and
// changes none of them.
func Plan(want map[string]*store.Desired, have observed.Snapshot, recs map[string]store.Record, now time.Time) Steps {
	names := slices.Collect(maps.Keys(want))
	names = slices.AppendSeq(names, maps.Keys(recs))
	slices.Sort(names)
	var s Steps
	for _, name := range slices.Compact(names) {
		s.add(next(viewOf(name, want[name], have, recs[name], now)))
	}
	return s
}

// next decides about one container. The first row that fits wins, so the order is meaning: what happened is recorded
// before anything is done about it, an attempt that has run nothing is settled before one that runs is judged, and only
// where nothing lives may something new begin.
func next(v view) Action {
	switch {
	// A failed observation is not an absent container: starting a twin is worse than waiting.
	case v.unknown() != "":
		return v.wait("ObservationFailed", v.now.Add(lookAgain))

	// What happened. Whoever saw the exit writes it down; until then it is not known, and never guessed.
	case v.adoptable() != nil:
		return v.adopt("Adopted")
	case v.owesExit() && v.o.Exit != nil:
		return v.recordExit()
	case v.owesExit() && v.o.Life != observed.Alive:
		return v.wait("ExitPending", v.now.Add(lookAgain))
	case v.unclaimed():
		return v.claim("NotOnRecord")

	case v.clockStepped():
		return v.clamp("ClockStepped")

	// An effect failed: everything below is an effect.
	case v.pending(v.r.Retry):
		return v.wait("EffectFailed", v.r.Retry.Until)

	// Nothing new may run beside what an earlier attempt may have left alive.
	case !v.alive() && v.outlived():
		return v.clean("BeforeNext")

	// An attempt that has run nothing yet. Start commits it; anything odd, and it is given up for the next one.
	case v.launching() && v.cur.LaunchError != "":
		return v.discard("LaunchFailed", v.cur.LaunchError)
	case v.launching() && !v.current():
		return v.discard(v.unwanted(), "")
	case v.launching() && v.o.Life == observed.NoProcess:
		return v.launch("Unfinished")
	case v.launching() && v.stillborn() != "":
		return v.discard("LaunchFailed", v.stillborn())
	case v.launching():
		return v.start("Created")

	// It lives, and is on its way out. The signal is sent to a frozen process first, which then is let run into it.
	case v.stopping() && !v.cur.Stop.Sent:
		return v.stop(v.cur.Stop.Reason)
	case v.stopping() && v.o.Frozen && v.pending(v.cur.Stop.Wait):
		return v.resume("Stopping")
	case v.stopping() && v.pending(v.cur.Stop.Wait):
		return v.wait("Stopping", v.cur.Stop.Wait.Until)
	case v.stopping():
		return v.kill("GracePeriodOver")

	// It lives.
	case v.alive() && v.doubted() && v.differs():
		return v.wait("ManifestsUnread", v.now.Add(lookAgain))
	case v.alive() && !v.current():
		return v.stop(v.unwanted())
	case v.alive() && v.o.Lost:
		return v.stop("RuntimeStateLost")
	case v.alive() && !v.cur.Started:
		return v.start("Unfinished")
	case v.alive() && v.resized():
		return v.update("ResourcesChanged")
	case v.alive() && v.o.Frozen != v.paused():
		return v.freeze(v.paused())
	case v.alive() && v.remains():
		return v.clean("Replaced")
	case v.alive():
		return v.settled(string(v.d.State()))

	// Nothing lives. Remains go when there is time, unless they pile up.
	case v.leftover() != nil && len(v.r.Attempts) > maxLeftovers:
		return v.clean("BeforeNext")
	case v.idle() == "":
		return v.create("Desired")
	case v.remains():
		return v.clean("Ended")
	case v.d == nil && v.r.RemovedAt.IsZero():
		return v.forget("Removed")
	case v.idle() == "BackOff":
		return v.wait("BackOff", v.r.Backoff.Until)
	case v.idle() == "ManifestsUnread":
		return v.wait("ManifestsUnread", v.now.Add(lookAgain))
	default:
		return v.settled(v.idle())
	}
}
