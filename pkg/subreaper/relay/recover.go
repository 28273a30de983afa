package relay

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"reconciler.dev/reconciler/pkg/logs/cri"
)

// recover takes up where the last relay left off. There is nothing to repair: a batch in progress is simply written.
func (r *relay) recover(o *output) error {
	s, fresh, err := readState(o.stateFD)
	taken := [2]int64{o.streams[0].size, o.streams[1].size}
	switch {
	case errors.Is(err, errDamaged), fresh && taken != [2]int64{}:
		// What of the journals is in the log cannot be told any more.
		o.state, o.gap = state{generation: 1, read: taken}, true
		return nil
	case err != nil:
		return fmt.Errorf("read its state: %w", err)
	case fresh:
		return o.commit(state{generation: 1}) // before anything is taken
	}
	o.state = s
	for i, size := range taken {
		if size >= s.read[i] {
			continue
		}
		if size != 0 { // else it was emptied by a relay that was killed before it could commit that
			r.log("%s: its journal of %s was cut by somebody else", o.label, cri.Streams[i])
		}
		s.read[i] = size
	}
	if s == o.state {
		return nil
	}
	return o.commit(s)
}

// mend tells in the log that lines may be missing there, and commits a state in place of the lost one.
func (r *relay) mend(o *output) error {
	if err := unix.Ftruncate(o.stateFD, stateSize); err != nil {
		return fmt.Errorf("mend its state: %w", err)
	}
	if _, err := r.readyLog(o); err != nil { // and at its end
		return err
	}
	r.log("%s: its state was damaged, lines may be missing", o.label)
	text := cri.AppendPrefix(nil, max(1, r.now()), cri.Streams[1], cri.Full)
	text = append(text, "reconciler: the state of this log was damaged, lines may be missing here\n"...)
	if err := writeAt(o.logFD, text, o.state.log); err != nil {
		return fmt.Errorf("write its log: %w", err)
	}
	next := o.state
	next.log += int64(len(text))
	if err := o.commit(next); err != nil {
		return err
	}
	o.gap = false
	return nil
}
