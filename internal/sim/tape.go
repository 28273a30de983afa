package sim

import "math/rand/v2"

// tape is every choice of a run, in order. One that is played back makes the same run again; one that is shorter, or has
// other numbers on it, makes another run, never an invalid one: a number too big is taken modulo, and behind the end all
// are 0, which is the most harmless choice wherever there is one.
type tape struct {
	draw   *rand.Rand // nil: played back
	record []uint16
	at     int
}

func drawn(seed uint64) *tape { return &tape{draw: rand.New(rand.NewPCG(seed, 0x5eed))} }

func played(record []uint16) *tape { return &tape{record: record} }

// pick returns a number in [0, n), n being at least 1.
func (t *tape) pick(n int) int {
	if n <= 1 {
		return 0
	}
	if t.draw != nil {
		t.record = append(t.record, uint16(t.draw.IntN(n)))
	}
	if t.at >= len(t.record) {
		return 0
	}
	t.at++
	return int(t.record[t.at-1]) % n
}

// one is true once in n times, on average.
func (t *tape) one(n int) bool { return t.pick(n) == n-1 }
