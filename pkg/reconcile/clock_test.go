package reconcile

import (
	"testing"
	"testing/synctest"
	"time"

	"reconciler.dev/reconciler/pkg/desired"
	"reconciler.dev/reconciler/pkg/store"
)

// TestSurvivesClockStepped: in the middle of a backoff and of a grace period, back and ahead. Neither stalls, and a
// restart does not storm.
func TestSurvivesClockStepped(t *testing.T) {
	for name, step := range map[string]time.Duration{
		"an hour back": -time.Hour, "ten years back": -87600 * time.Hour, "an hour ahead": time.Hour, "ten years ahead": 87600 * time.Hour,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(t)
				l.with(func(m *model) {
					desire("web")(m)
					m.desire("old", func(d *store.Desired) { d.Container.Spec.Stop.GracePeriod = desired.Duration(10 * time.Second) })
					m.ignores["old"] = true
				})
				l.Wake("web", "old")
				want(t, l, "old.1 web.1")

				l.with(func(m *model) { m.die("web.1", 1<<8) })
				l.Wake("web")
				want(t, l, "old.1 web.2")
				l.with(func(m *model) { m.die("web.2", 1<<8); delete(m.want, "old") })
				l.Wake("web", "old")
				want(t, l, "old.1") // one backs off, the other one has its grace period
				l.ahead.Store(int64(step))

				time.Sleep(2 * 100 * time.Millisecond) // at worst it is waited for anew
				want(t, l, "old.1 web.3")
				time.Sleep(2 * 10 * time.Second)
				want(t, l, "web.3")

				// One that dies at once, all the time, is started ever more rarely.
				before := l.launches("web")
				for range 6000 {
					l.with(func(m *model) {
						for id, p := range m.procs {
							if !p.dead && p.started {
								m.die(id, 1<<8)
							}
						}
					})
					l.Wake("web")
					time.Sleep(10 * time.Millisecond)
					synctest.Wait()
				}
				if n := l.launches("web") - before; n < 5 || n > 12 {
					t.Errorf("%d starts in a minute, want some that double their pauses from 100ms", n)
				}
			})
		})
	}
}

func (l *lab) launches(name string) (n int) {
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range l.acts {
		if a.Name == name && a.Verb == Launch {
			n++
		}
	}
	return n
}
