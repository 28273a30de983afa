package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"reconciler": main, "fakedaemon": fakeDaemon})
}

// The scripts in testdata/script are the manual of what needs no containers. Beside testscript's own commands there are
//
//	store DIR     makes DIR/state/reconciler.db, as a controller that was killed left it
//	answers DIR   waits until a daemon answers on DIR/run/reconciler.sock
//
// and the program `fakedaemon DIR [NAME]`, which answers there over that store, and keeps the container NAME running.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"store": func(ts *testscript.TestScript, _ bool, args []string) { ts.Check(fillStore(ts.MkAbs(args[0]))) },
			"answers": func(ts *testscript.TestScript, _ bool, args []string) {
				ts.Check(answers(t.Context(), ts.MkAbs(args[0])))
			},
		},
	})
}
