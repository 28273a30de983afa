// Package sim looks for an order of events in which a promise is broken. It runs the real queue, planner, executor, index,
// judgement of what was seen and rules of the store against a node that is simulated: kernel, runtime, guard and reaper,
// disks, clocks, users and mishaps.
//
//	tape ---> who is next? --+--> the controller: plans, or goes on with an effect, up to its next system call or commit
//	                         +--> a call of the runtime, guard, reaper, pid 1: one thing each
//	                         +--> a user, a program that ends, the clock
//	                         +--> a fault
//
// Everything happens in one goroutine at a time and by the choices on one tape, which a seed fills: a seed is one run, the
// same each time. A storm of faults is followed by a calm, in which all must come to be as it is wanted. What was promised
// is held against the truth, which only the simulation knows, at every step. A run that breaks a promise is made shorter by
// leaving choices out.
//
// The trap: what is simulated is what its author knew. node.go, pair.go and launch.go repeat what pkg/reconcile's Node and
// pkg/subreaper/pair do to a machine, and prove nothing about those two. docs/simulation.md says what follows from that.
package sim
