package storetest

import (
	"testing"
	"time"

	"reconciler.dev/reconciler/pkg/store"
	"reconciler.dev/reconciler/pkg/subreaper"
)

func exits(t *testing.T, db *store.DB, name string) []store.Exit {
	t.Helper()
	return must[[]store.Exit](t)(db.Exits(name))
}

func firstExitStands(t *testing.T, db *store.DB) {
	first := exit("web", 1, 7)
	commit(t, db, store.Change{Record: record("web", 1), Exit: first})
	for _, later := range []*store.Exit{first, exit("web", 1, 8), unknown("web", 1)} {
		commit(t, db, store.Change{Exit: later})
		equal(t, "exits", exits(t, db, "web"), []store.Exit{*first})
	}
}

func unknownGivesWay(t *testing.T, db *store.DB) {
	commit(t, db, store.Change{Record: record("web", 1), Exit: unknown("web", 1)})
	again := unknown("web", 1)
	again.Reason = "AnotherGuess"
	commit(t, db, store.Change{Exit: again})
	equal(t, "unknown again", exits(t, db, "web"), []store.Exit{*unknown("web", 1)})

	known := exit("web", 1, 3)
	known.Source = subreaper.SourceProcstat
	commit(t, db, store.Change{Exit: known})
	commit(t, db, store.Change{Exit: exit("web", 1, 4)})
	equal(t, "improved once", exits(t, db, "web"), []store.Exit{*known})
}

func otherProcessRefused(t *testing.T, db *store.DB) {
	commit(t, db, store.Change{Record: record("web", 2)})
	for field, change := range map[string]func(*store.Exit){
		"pid":      func(e *store.Exit) { e.PID++ },
		"start":    func(e *store.Exit) { e.StartTime++ },
		"boot":     func(e *store.Exit) { e.BootID = "another" },
		"instance": func(e *store.Exit) { e.Instance = "web.3" },
		"attempt":  func(e *store.Exit) { e.Attempt = 3 },
		"no name":  func(e *store.Exit) { e.Instance = ".2" },
	} {
		t.Run(field, func(t *testing.T) {
			e := exit("web", 2, 0)
			change(e)
			refuse(t, db, store.Change{Exit: e, Events: []store.Event{{Reason: "Exited"}}}, store.ErrMismatch)
		})
	}
	noProcess := record("web", 2)
	noProcess.Attempts[0].Process = nil
	refuse(t, db, store.Change{Record: noProcess, Exit: exit("web", 2, 0)}, store.ErrMismatch)

	// Also when it is on record: a late stranger is told, not ignored.
	commit(t, db, store.Change{Exit: exit("web", 2, 0)})
	stranger := exit("web", 2, 0)
	stranger.PID++
	refuse(t, db, store.Change{Exit: stranger}, store.ErrMismatch)

	equal(t, "exits", exits(t, db, "web"), []store.Exit{*exit("web", 2, 0)})
	if events := must[[]store.Event](t)(db.Events(0, 0)); len(events) > 0 {
		t.Errorf("a refused change left %v", events)
	}
}

func notStartedRefused(t *testing.T, db *store.DB) {
	refuse(t, db, store.Change{Exit: exit("web", 1, 0)}, store.ErrNotStarted)
	intent := record("web", 1)
	intent.Attempts[0].StartCommitted = time.Time{}
	commit(t, db, store.Change{Record: intent})
	refuse(t, db, store.Change{Exit: exit("web", 1, 0)}, store.ErrNotStarted)
	refuse(t, db, store.Change{Record: intent, Exit: exit("web", 1, 0)}, store.ErrNotStarted)
	equal(t, "exits", exits(t, db, "web"), []store.Exit{})
}

func attemptLookedUp(t *testing.T, db *store.DB) {
	commit(t, db, store.Change{Record: record("own", 1), Exit: exit("own", 1, 0)})

	commit(t, db, store.Change{Record: record("stored", 1)})
	commit(t, db, store.Change{Exit: exit("stored", 1, 0)})

	// The change that records an exit may also be the one that drops the attempt.
	commit(t, db, store.Change{Record: record("dropped", 1)})
	commit(t, db, store.Change{Record: &store.Record{Name: "dropped", LastAttempt: 1}, Exit: exit("dropped", 1, 0)})

	commit(t, db, store.Change{Attempt: new(started("past", 1))})
	commit(t, db, store.Change{Exit: exit("past", 1, 0)})
	late := exit("past", 1, 0)
	late.StartTime++
	refuse(t, db, store.Change{Exit: late}, store.ErrMismatch)

	// Another name's record is no witness.
	refuse(t, db, store.Change{Record: record("web", 1), Exit: exit("other", 1, 0)}, store.ErrNotStarted)
	for _, name := range []string{"own", "stored", "dropped", "past"} {
		equal(t, name, exits(t, db, name), []store.Exit{*exit(name, 1, 0)})
	}
}
