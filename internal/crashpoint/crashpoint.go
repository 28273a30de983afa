// Package crashpoint ends the controller where a test wants it dead. No program links it: package weave puts the calls
// into a copy of the source that only the test builds.
package crashpoint

import (
	"os"
	"strings"
	"sync"
	"syscall"
)

// EnvFile names a file of the points at which processes were ended so far, one a line. Without it nothing happens.
const EnvFile = "RECONCILER_CRASHPOINTS"

// turns is how many turns of a loop a process is ended in.
const turns = 4

var (
	mu   sync.Mutex
	here = map[string]int{} // how often this process came to a point
	past = sync.OnceValue(func() map[string]int {
		b, err := os.ReadFile(os.Getenv(EnvFile))
		if err != nil {
			return nil
		}
		points := map[string]int{}
		for point := range strings.Lines(string(b)) {
			points[strings.TrimSpace(point)]++
		}
		return points
	})
)

// At notes the point and ends this process as kill -9 does, unless one was ended there before.
func At(point string) { at(point, 1) }

// InLoop is At for a point that a process may come to again and again: one process ends there in its first turn, the next
// one in its second.
func InLoop(point string) { at(point, turns) }

// at ends the process with the mutex held: whoever comes to another point meanwhile gets no further.
func at(point string, times int) {
	mu.Lock()
	points := past()
	here[point]++
	if points == nil || points[point] >= times || here[point] <= points[point] {
		mu.Unlock()
		return
	}
	f, err := os.OpenFile(os.Getenv(EnvFile), os.O_WRONLY|os.O_APPEND, 0)
	if err == nil {
		_, err = f.WriteString(point + "\n")
	}
	if err != nil {
		panic(err)
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}
