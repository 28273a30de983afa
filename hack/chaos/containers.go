package main

import (
	"time"

	"reconciler.dev/reconciler/hack/internal/scratch"
)

// kind is one of the containers under attack.
type kind struct {
	name    string
	policy  string
	hostPID bool
	args    []string
	ends    bool // by itself, again and again: stopped before the world can settle
}

var kinds = []kind{
	{name: "steady", policy: "Always"},
	{name: "deaf", policy: "Always", args: []string{"--deaf"}},
	{name: "shared", policy: "Always", hostPID: true, args: []string{"--child"}},
	{name: "loop", policy: "Always", ends: true, args: []string{"--after=1ms", "--code=3"}},
	{name: "late", policy: "OnFailure", ends: true, args: []string{"--after=400ms", "--code=42"}},
	{name: "hup", policy: "OnFailure", ends: true, hostPID: true, args: []string{"--after=250ms", "--by-hup", "--child"}},
	{name: "job", policy: "OnFailure", args: []string{"--after=300ms", "--code=0"}},
	{name: "once", policy: "Never", args: []string{"--after=600ms", "--code=5"}},
}

// lasting are the names that run until they are killed or stopped.
var lasting = []string{"steady", "deaf", "shared"}

func makeContainers(w *scratch.World, program string) error {
	if err := w.Rootfs(program); err != nil {
		return err
	}
	for _, k := range kinds {
		args := append([]string{"payload", "--name=" + k.name}, k.args...)
		if err := w.Bundle(k.name, k.hostPID, args...); err != nil {
			return err
		}
		if err := k.put(w, "0"); err != nil {
			return err
		}
	}
	return nil
}

// put writes the manifest; another edit is another spec. Waits are short: a run is to see many restarts.
func (k kind) put(w *scratch.World, edit string) error {
	return w.Put(k.name+".yaml", scratch.Manifest{
		Name: k.name, Bundle: k.name, Policy: k.policy, Env: edit,
		Initial: 20 * time.Millisecond, Max: 600 * time.Millisecond, Reset: time.Second, Grace: 300 * time.Millisecond,
	})
}
