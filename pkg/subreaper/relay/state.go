package relay

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"golang.org/x/sys/unix"
)

// state is how far one instance's output has come. It is changed as a whole, by one pwrite of 64 bytes into a file that
// has them already, which needs no room on the disk and was never seen torn by a kill.
//
//	0 magic  4 checksum of all behind it  8 generation  16 log  24 read[0]  32 read[1]  40 time  48 flags  56 unused
type state struct {
	generation int64    // of the log file, once it is moved out of the way
	log        int64    // where the next line goes
	read       [2]int64 // up to where the journals are in the log
	time       int64    // of the batch in progress, in nanoseconds since 1970; 0 if there is none
	last       bool     // the batch in progress takes unfinished lines as well, and nothing comes after it
}

// complete reports whether everything is in the log.
func (s state) complete() bool { return s.last && s.time == 0 }

const (
	stateSize  = 64
	stateMagic = "RLY1"
	flagLast   = 1
)

var errDamaged = errors.New("damaged state")

func (s state) encode(b *[stateSize]byte) {
	*b = [stateSize]byte{}
	copy(b[:4], stateMagic)
	for i, v := range []int64{s.generation, s.log, s.read[0], s.read[1], s.time, s.flags()} {
		binary.LittleEndian.PutUint64(b[8+8*i:], uint64(v))
	}
	binary.LittleEndian.PutUint32(b[4:], crc32.ChecksumIEEE(b[8:]))
}

func (s state) flags() int64 {
	if s.last {
		return flagLast
	}
	return 0
}

func decodeState(b []byte) (state, error) {
	if len(b) != stateSize || string(b[:4]) != stateMagic || binary.LittleEndian.Uint32(b[4:]) != crc32.ChecksumIEEE(b[8:]) {
		return state{}, errDamaged
	}
	var v [6]int64
	for i := range v {
		v[i] = int64(binary.LittleEndian.Uint64(b[8+8*i:]))
		if v[i] < 0 {
			return state{}, errDamaged
		}
	}
	return state{
		generation: v[0], log: v[1], read: [2]int64{v[2], v[3]}, time: v[4], last: v[5]&flagLast != 0,
	}, nil
}

// commit makes next the state, on disk first.
func (o *output) commit(next state) error {
	next.encode(&o.encoded)
	n, err := unix.Pwrite(o.stateFD, o.encoded[:], 0)
	if err == nil && n != stateSize {
		err = unix.ENOSPC
	}
	if err != nil {
		return fmt.Errorf("write its state: %w", err)
	}
	o.state = next
	return nil
}

// readState reads what is committed. A file that is empty is that of a new output.
func readState(fd int) (s state, fresh bool, err error) {
	var b [stateSize + 1]byte
	n, err := unix.Pread(fd, b[:], 0)
	if err != nil {
		return state{}, false, err
	}
	if n == 0 {
		return state{}, true, nil
	}
	s, err = decodeState(b[:n])
	return s, false, err
}
