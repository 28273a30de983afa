package cri

import (
	"cmp"
	"strconv"
	"strings"
)

// File is one file of a container's logs.
type File struct {
	Attempt    int
	Generation int // 0: the one that is written now, or was last
}

// String is the file's name.
func (f File) String() string {
	name := strconv.Itoa(f.Attempt) + ".log"
	if f.Generation != 0 {
		name += "." + strconv.Itoa(f.Generation)
	}
	return name
}

// ParseName is the inverse of String; what is spelled in any other way is no log.
func ParseName(name string) (f File, ok bool) {
	attempt, generation, moved := strings.Cut(name, ".log.")
	if !moved {
		attempt = strings.TrimSuffix(name, ".log")
	}
	f.Attempt, _ = strconv.Atoi(attempt)
	f.Generation, _ = strconv.Atoi(generation)
	return f, f.Attempt > 0 && f.Generation >= 0 && f.String() == name
}

// Compare orders files as they were written.
func Compare(a, b File) int {
	return cmp.Or(cmp.Compare(a.Attempt, b.Attempt), cmp.Compare(a.place(), b.place()))
}

// place puts generation 0 last.
func (f File) place() uint64 { return uint64(f.Generation) - 1 }
