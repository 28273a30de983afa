// Relay is the program alone, without what a test links: its memory is measured.
package main

import (
	"os"

	"reconciler.dev/reconciler/pkg/subreaper"
	"reconciler.dev/reconciler/pkg/subreaper/relay"
)

func main() {
	dir := os.Args[1]
	err := relay.Run(relay.Dirs{Run: subreaper.RunDir(dir + "/run"), State: dir + "/state", Logs: dir + "/logs"})
	println(err.Error())
	os.Exit(1)
}
