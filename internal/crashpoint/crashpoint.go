// Package crashpoint ends the controller where a test wants it dead. No program links it: package weave puts the calls
// into a copy of the source that only the test builds.
package crashpoint

import (
	"os"
	"strings"
	"sync"
	"syscall"
)

// EnvFile names a file of the points, one a line, at which some process was ended already. Without it nothing happens.
const EnvFile = "RECONCILER_CRASHPOINTS"

var (
	mu   sync.Mutex
	past = sync.OnceValue(func() map[string]bool {
		b, err := os.ReadFile(os.Getenv(EnvFile))
		if err != nil {
			return nil
		}
		points := map[string]bool{}
		for point := range strings.Lines(string(b)) {
			points[strings.TrimSpace(point)] = true
		}
		return points
	})
)

// At notes the point and ends this process as kill -9 does, unless one was ended there before. One process ends at one
// point: whoever comes to another one meanwhile gets no further.
func At(point string) {
	mu.Lock()
	if points := past(); points == nil || points[point] {
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
