// Package reconcile answers what to do next, and does it.
//
//	desired (Intake) --+
//	                   v
//	observed --------> Plan (pure) --> Actions --> Executor --> Effects (Node: runtime, subreaper, pidfds, cgroups)
//	                   ^                              |
//	records ---------- + <--- intent before, outcome after
//
// plan.go is the table: each row a state of one container and the one step that follows. view.go has the words that rows
// are made of, action.go what a step is, backoff.go the arithmetic. They read arguments only: no clock, no files, no
// randomness, so that every decision can be replayed. queue.go knows what is due and what must wait; loop.go gives it
// goroutines and timers, and asks for a plan whenever something may have changed, one effect a name in flight; execute.go
// obeys; node.go touches the machine. intake.go takes manifests in, status.go says all of it in the words that users see.
//
// It parses no manifests and formats nothing for the CLI. The trap: a condition in the executor that refuses or delays an
// effect turns the plan into fiction; it belongs in a row.
package reconcile
