package runc

import (
	"fmt"
	"os"
)

// PipeRelay joins connections to the pipes that are a process's standard input, output and error.
type PipeRelay struct{ relay }

// newPipeRelay makes the pipes. theirs are the process's ends, which are the caller's to close.
func newPipeRelay(c Connections) (p *PipeRelay, theirs [3]*os.File, err error) {
	var ours [3]*os.File
	for i := range ours {
		r, w, e := os.Pipe() // our ends do not block; os/exec makes the process's own do so
		if e != nil {
			closeAll(ours[:]...)
			closeAll(theirs[:]...)
			return nil, [3]*os.File{}, fmt.Errorf("pipes for standard streams: %w", e)
		}
		if ours[i], theirs[i] = r, w; i == 0 {
			ours[i], theirs[i] = w, r
		}
	}
	return &PipeRelay{newRelay(c, ours[0], ours[1], ours[2])}, theirs, nil
}

func closeAll(files ...*os.File) {
	for _, f := range files {
		f.Close() // of nil is an error and no harm
	}
}
