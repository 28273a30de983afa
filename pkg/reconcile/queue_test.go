package reconcile

import (
	"slices"
	"strconv"
	"testing"
	"time"
)

// TestQueueOneEffectAName: a name is not looked at while something is done about it, and at once when that is done.
func TestQueueOneEffectAName(t *testing.T) {
	q := NewQueue(1)
	a := Action{Name: "web", Verb: Note}
	q.Wake("web")
	if begin := q.Planned(q.Take(0), nil, Steps{Actions: []Action{a}}, 0, testEpoch); len(begin) != 1 {
		t.Fatalf("begun: %v", begin)
	}
	q.Wake("web", "db")
	if due := q.Take(0); !slices.Equal(due, []string{"db"}) {
		t.Errorf("due while web has an effect in flight: %v", due)
	}
	q.Finished(a, true, 0)
	if due := q.Take(0); !slices.Equal(due, []string{"web"}) {
		t.Errorf("due when it is finished: %v", due)
	}
}

// TestQueueSlots: what finds no slot has its turn when one is free, in the order in which it came; what needs none does
// not wait.
func TestQueueSlots(t *testing.T) {
	q := NewQueue(1)
	starts := func(names ...string) (s Steps) {
		for _, name := range names {
			s.Actions = append(s.Actions, Action{Name: name, Verb: Start})
		}
		return s
	}
	steps := starts("a", "b", "c")
	steps.Actions = append(steps.Actions, Action{Name: "d", Verb: Signal})
	begin := q.Planned(nil, nil, steps, 0, testEpoch)
	if len(begin) != 2 || begin[0].Name != "a" || begin[1].Name != "d" {
		t.Fatalf("begun: %v", begin)
	}
	for _, next := range []string{"b", "c"} {
		begin = append(q.Finished(begin[0], true, 0), begin[1:]...)
		if begin[0].Name != next {
			t.Fatalf("begun: %v, want %s first", begin, next)
		}
	}
	q.Finished(begin[0], true, 0)
	if begin := q.Planned(nil, nil, starts("e"), 0, testEpoch); len(begin) != 1 {
		t.Errorf("a slot is lost")
	}
}

// TestQueueHangingEffects: one that takes too long has no slot any more, and gives none back when it ends.
func TestQueueHangingEffects(t *testing.T) {
	q := NewQueue(1)
	var steps Steps
	for _, name := range []string{"a", "b", "c"} {
		steps.Actions = append(steps.Actions, Action{Name: name, Verb: Start})
	}
	a := q.Planned(nil, nil, steps, 0, testEpoch)
	now := time.Duration(0)
	begun := func() []Action { return q.Planned(q.Take(now), nil, Steps{}, now, testEpoch) }
	for _, next := range []string{"b", "c"} {
		at, _ := q.Next()
		if now = at - 1; len(begun()) != 0 {
			t.Fatalf("%s has begun too soon", next)
		}
		now = at
		if got := begun(); len(got) != 1 || got[0].Name != next {
			t.Fatalf("begun: %v, want %s", got, next)
		}
	}
	if next := q.Finished(a[0], true, now); len(next) > 0 {
		t.Errorf("begun: %v", next)
	}
	steps.Actions = []Action{{Name: "d", Verb: Start}}
	if begin := q.Planned(nil, nil, steps, now, testEpoch); len(begin) > 0 {
		t.Errorf("begun beside c: %v", begin)
	}
}

// TestQueueHangsNoFurther: a machine that hangs with all that is asked of it is not asked for ever more.
func TestQueueHangsNoFurther(t *testing.T) {
	q := NewQueue(1)
	var steps Steps
	for n := range 2 * maxLate {
		steps.Actions = append(steps.Actions, Action{Name: "c" + strconv.Itoa(n), Verb: Start})
	}
	begun := q.Planned(nil, nil, steps, 0, testEpoch)
	now := time.Duration(0)
	step := func() {
		now, _ = q.Next()
		begun = append(begun, q.Planned(q.Take(now), nil, Steps{}, now, testEpoch)...)
	}
	for range 3 * maxLate {
		step()
	}
	if len(begun) != maxLate+1 {
		t.Fatalf("%d have begun", len(begun))
	}
	q.Finished(begun[0], true, now)
	step()
	step()
	if len(begun) != maxLate+2 {
		t.Errorf("%d have begun after one has ended", len(begun))
	}
}

// TestQueueRests: what could not be recorded is tried again after a rest, ever longer until it is on record.
func TestQueueRests(t *testing.T) {
	q := NewQueue(1)
	a := Action{Name: "web", Verb: Note}
	now := time.Duration(0)
	for _, rest := range []time.Duration{minRetry, 2 * minRetry, 4 * minRetry} {
		q.Planned(nil, nil, Steps{Actions: []Action{a}}, now, testEpoch)
		q.Finished(a, false, now)
		q.Wake("web")
		if due := q.Take(now + rest - 1); len(due) > 0 {
			t.Errorf("due before %s are over", rest)
		}
		now += rest
		if due := q.Take(now); len(due) != 1 {
			t.Errorf("not due after %s", rest)
		}
	}
	q.Finished(a, true, now)
	q.Finished(a, false, now)
	if at, _ := q.Next(); at != now+minRetry {
		t.Errorf("a rest after a success is %s", at-now)
	}
}

func TestQueueWaits(t *testing.T) {
	q := NewQueue(1)
	for i := range 50 {
		name := "n" + strconv.Itoa(i)
		at := time.Duration(i*37%50) * time.Second
		q.Planned(nil, nil, Steps{Actions: []Action{{Name: name, Verb: Wait, When: testEpoch.Add(at)}}}, 0, testEpoch)
	}
	// One that is planned for again has one alarm, at its new time.
	q.Planned([]string{"n0"}, nil, Steps{Actions: []Action{{Name: "n0", Verb: Wait, When: testEpoch.Add(time.Minute)}}}, 0, testEpoch)
	rung := 0
	for {
		at, any := q.Next()
		if !any {
			break
		}
		if early := q.Take(at - 1); len(early) > 0 {
			t.Errorf("%v are due too early", early)
		}
		due := q.Take(at)
		if len(due) != 1 {
			t.Fatalf("due at %s: %v", at, due)
		}
		rung++
	}
	if rung != 50 {
		t.Errorf("%d of 50 alarms rang", rung)
	}
}
