package reconcile

import (
	"container/heap"
	"time"
)

// alarms are names to look at when their time has come, at most one a name.
type alarms struct {
	byName map[string]*alarm
	order  alarmHeap
}

type alarm struct {
	name  string
	at    time.Duration
	place int // in the heap
}

func (a *alarms) set(name string, at time.Duration) {
	a.cancel(name)
	if a.byName == nil {
		a.byName = map[string]*alarm{}
	}
	a.byName[name] = &alarm{name: name, at: at}
	heap.Push(&a.order, a.byName[name])
}

func (a *alarms) cancel(name string) {
	if set := a.byName[name]; set != nil {
		heap.Remove(&a.order, set.place)
		delete(a.byName, name)
	}
}

// ring takes the first name whose time has come.
func (a *alarms) ring(now time.Duration) (name string, rings bool) {
	first, any := a.next()
	if !any || first > now {
		return "", false
	}
	name = a.order[0].name
	a.cancel(name)
	return name, true
}

func (a *alarms) next() (at time.Duration, any bool) {
	if len(a.order) == 0 {
		return 0, false
	}
	return a.order[0].at, true
}

// alarmHeap is a container/heap, the earliest first; names break ties, so that the order is the same in every run.
type alarmHeap []*alarm

func (h alarmHeap) Len() int { return len(h) }
func (h alarmHeap) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].name < h[j].name
}
func (h alarmHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}
func (h *alarmHeap) Push(x any) {
	a := x.(*alarm)
	a.place = len(*h)
	*h = append(*h, a)
}
func (h *alarmHeap) Pop() any {
	last := len(*h) - 1
	a := (*h)[last]
	*h = (*h)[:last]
	return a
}
