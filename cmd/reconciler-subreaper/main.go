// Reconciler-subreaper holds the processes of containers: see package pair.
package main

import (
	"os"
	"runtime"

	"reconciler.dev/reconciler/pkg/subreaper/pair"
)

// The loop must stay on the main thread: parenthood by prctl(2) and fork(2), and the signal mask, are a thread's own
// affairs. Only init can pin main to it.
func init() { runtime.LockOSThread() }

func main() { os.Exit(pair.Run(os.Args)) }
