package reconcile

import (
	"errors"

	"reconciler.dev/reconciler/pkg/bundle"
	"reconciler.dev/reconciler/pkg/desired"
)

// derive makes the config.json of an instance from its bundle's and from what is wanted.
func derive(c desired.Container, config []byte, p bundle.Params) (derived []byte, facts bundle.Facts, notices []string, err error) {
	o := c.Spec.Process
	p.Name, p.Resources = c.Name, c.Spec.Resources
	p.Process = bundle.Process{Args: o.Args, Env: o.Env, Cwd: o.Cwd, Terminal: o.Terminal}
	if derived, notices, err = bundle.Derive(config, p); err != nil {
		return nil, facts, nil, err
	}
	if facts, err = bundle.Inspect(derived); err != nil {
		return nil, facts, nil, err
	}
	if facts.Terminal {
		return nil, facts, nil, errTerminal
	}
	return derived, facts, notices, nil
}

var errTerminal = errors.New("process.terminal: is true, and this version gives no container a terminal; " +
	"set it to false in config.json, or in the manifest: process: {terminal: false}")

// CheckBundle says whether a container can be made from the config.json of its bundle. Notices are what the user asks
// for there and does not get.
func CheckBundle(c desired.Container, config []byte) (facts bundle.Facts, notices []string, err error) {
	// What an instance adds is of no matter to the answer.
	_, facts, notices, err = derive(c, config, bundle.Params{Bundle: c.Spec.Bundle, Instance: c.Name + ".1", CgroupPath: "/reconciler/" + c.Name})
	return facts, notices, err
}
