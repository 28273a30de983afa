package observed

import "slices"

// Index knows of which instances there is anything, as of the last list and what came and went since. It is not safe for
// use by several goroutines.
type Index struct {
	unlisted string           // why it is not known which there are
	seen     map[string][]int // attempts by name
	highest  map[string]int   // by name, of the logs found by the first list
	gone     map[string]bool  // ids forgotten while a list is under way; nil while none is
	strange  []string         // ids that are no instance's of ours
}

// NewIndex returns an index that has not been listed yet.
func NewIndex() *Index {
	return &Index{seen: map[string][]int{}, unlisted: "instances have not been listed yet"}
}

// Snapshot is what is known of names, without any instance.
func (x *Index) Snapshot(names []string) Snapshot {
	s := Snapshot{Instances: map[string]Instance{}, Unlisted: x.unlisted, Seen: map[string][]int{}, Highest: map[string]int{}}
	for _, name := range names {
		if attempts := x.seen[name]; attempts != nil {
			s.Seen[name] = slices.Clone(attempts)
		}
		if n := x.highest[name]; n > 0 {
			s.Highest[name] = n
		}
	}
	return s
}

// Begin is due before a list is made. It says whether none has succeeded so far: then the list shall find the highest
// attempts of all names, too.
func (x *Index) Begin() (first bool) {
	x.gone = map[string]bool{}
	return x.unlisted != ""
}

// Fail is the end of a list that failed. It is no empty list: until one succeeds it is not known which there are.
func (x *Index) Fail(err error) {
	x.gone = nil
	if x.unlisted != "" {
		x.unlisted = err.Error()
	}
}

// End is the end of a list. foreign says of an id that somebody else made it; highest counts for the first list.
func (x *Index) End(ids []string, foreign func(id string) bool, highest map[string]int) {
	if x.unlisted != "" {
		x.highest = highest
	}
	gone := x.gone
	x.unlisted, x.seen, x.strange, x.gone = "", map[string][]int{}, nil, nil
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		if _, _, ok := ParseInstanceID(id); !ok || foreign(id) {
			x.strange = append(x.strange, id)
		} else if !gone[id] { // cleaned up since it was seen
			x.Appeared(id)
		}
	}
}

// Appeared notes an instance that was made since the last list.
func (x *Index) Appeared(id string) {
	name, attempt, ok := ParseInstanceID(id)
	if ok && !slices.Contains(x.seen[name], attempt) {
		x.seen[name] = append(x.seen[name], attempt)
		slices.Sort(x.seen[name])
	}
}

// Forget notes that nothing is left of an instance.
func (x *Index) Forget(id string) {
	if x.gone != nil {
		x.gone[id] = true
	}
	if name, attempt, ok := ParseInstanceID(id); ok {
		x.seen[name] = slices.DeleteFunc(x.seen[name], func(n int) bool { return n == attempt })
		if len(x.seen[name]) == 0 {
			delete(x.seen, name)
		}
	}
}

// Orphans are the ids seen by the last list that belong to none of the names.
func (x *Index) Orphans(known func(name string) bool) []string {
	orphans := slices.Clone(x.strange)
	for name, attempts := range x.seen {
		if !known(name) {
			for _, n := range attempts {
				orphans = append(orphans, InstanceID(name, n))
			}
		}
	}
	slices.Sort(orphans)
	return orphans
}
