// Package e2e drives the built programs as a user does, on a real runtime and a real kernel, and kills what a user could
// kill at points chosen between two effects: a gate in front of the runtime holds a create or a start before or after it
// has happened. It has tests only.
package e2e
