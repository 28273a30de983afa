package main

import (
	"fmt"
	"time"

	"reconciler.dev/reconciler/hack/internal/scratch"
)

// kind is what one of the containers under attack is like.
type kind struct {
	name    string
	policy  string
	bundle  scratch.BundleOptions
	args    []string
	ends    bool // by itself, again and again: it never settles while it is wanted
	lasting bool // runs until it is killed or stopped
}

const ample = 24 << 20 // bytes; the payload itself takes a few MiB

// kinds are all containers. Each of those that last comes several times, so that one fault does not wait for another's.
var kinds = func() []kind {
	all := []kind{
		{name: "loop", policy: "Always", ends: true, args: []string{"--after=1ms", "--code=3"}},
		{name: "late", policy: "OnFailure", ends: true, args: []string{"--after=400ms", "--code=42"}},
		{name: "hup", policy: "OnFailure", ends: true, bundle: scratch.BundleOptions{HostPID: true}, args: []string{"--after=250ms", "--by-hup", "--child"}},
		{name: "eater", policy: "Always", ends: true, bundle: scratch.BundleOptions{Memory: ample}, args: []string{"--after=100ms", "--eat"}},
		{name: "job", policy: "OnFailure", args: []string{"--after=300ms", "--code=0"}},
		{name: "job-b", policy: "OnFailure", args: []string{"--after=50ms", "--code=0"}},
		{name: "once", policy: "Never", args: []string{"--after=600ms", "--code=5"}},
		{name: "once-b", policy: "Never", bundle: scratch.BundleOptions{HostPID: true}, args: []string{"--after=1ms", "--by-hup"}},
	}
	for _, k := range []struct {
		kind
		times int
	}{
		{kind{name: "sleeper"}, 4},
		{kind{name: "deaf", args: []string{"--deaf"}}, 2},
		{kind{name: "shared", bundle: scratch.BundleOptions{HostPID: true}, args: []string{"--child"}}, 3},
		{kind{name: "forker", args: []string{"--child", "--forks"}}, 3},
	} {
		k.policy, k.lasting = "Always", true
		for i := range k.times {
			one := k.kind
			one.name = fmt.Sprintf("%s-%d", k.name, i+1)
			all = append(all, one)
		}
	}
	return all
}()

// lasting are the names that run until they are killed or stopped.
var lasting = func() (names []string) {
	for _, k := range kinds {
		if k.lasting {
			names = append(names, k.name)
		}
	}
	return names
}()

func makeContainers(w *scratch.World, program string) error {
	if err := w.Rootfs(program); err != nil {
		return err
	}
	for _, k := range kinds {
		args := append([]string{"payload", "--name=" + k.name}, k.args...)
		if err := w.Bundle(k.name, k.bundle, args...); err != nil {
			return err
		}
		if err := k.put(w, "0"); err != nil {
			return err
		}
	}
	return nil
}

// put writes the manifest; another edit is another spec. Waits are short: a run is to see many restarts. Those that end by
// themselves restart slower, or they would take the machine for themselves.
func (k kind) put(w *scratch.World, edit string) error {
	slowest := 600 * time.Millisecond
	if k.ends {
		slowest = 2 * time.Second
	}
	return w.Put(k.name+".yaml", scratch.Manifest{
		Name: k.name, Bundle: k.name, Policy: k.policy, Env: edit,
		Initial: 20 * time.Millisecond, Max: slowest, Reset: time.Second, Grace: 300 * time.Millisecond,
	})
}
