package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"reconciler": main, "fakedaemon": fakeDaemon, "aside": aside})
}

// The scripts in testdata/script are the manual of what needs no containers. Beside testscript's own commands there are
//
//	store DIR            makes DIR/state/reconciler.db, as a controller that was killed left it
//	answers DIR          waits until a daemon answers on DIR/run/reconciler.sock
//	until FILE REGEXP    waits until a line of the file matches
//	signal NAME SIGNAL   sends a signal to what `aside NAME` runs
//
// and the programs `fakedaemon DIR [NAME]`, which answers there over that store and keeps the container NAME running, and
// `aside NAME ARGS...`, which runs reconciler beside the script.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"until":  untilCmd,
			"signal": signalCmd,
			"store":  func(ts *testscript.TestScript, _ bool, args []string) { ts.Check(fillStore(ts.MkAbs(args[0]))) },
			"answers": func(ts *testscript.TestScript, _ bool, args []string) {
				ts.Check(answers(t.Context(), ts.MkAbs(args[0])))
			},
		},
	})
}
