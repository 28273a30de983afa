package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"reconciler.dev/reconciler/hack/internal/scratch"
)

// gate is a wrapper around the runtime. It can hold one call still at a point between two effects, before or after the
// runtime did its work, and it can make the runtime misbehave for a while. Else it only passes calls on.
type gate struct{ dir string }

// gateForm is the wrapper. A call claims an armed gate by removing the file <point>.<name>, says `held <id>`, and goes on
// when that file is gone; a forgotten gate opens by itself after ten seconds. Its output would be the container's: none.
// The file `trouble` is shell that every call goes through first.
const gateForm = `#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
gate=%s
runtime=%s
verb= id=
for word; do
	case $word in create|start|delete) verb=${verb:-$word} ;; esac
	id=$word
done
name=${id%%.*}
hold() {
	rm "$gate/$1.$name" 2>/dev/null || return 0
	echo "$id" >"$gate/held.tmp" && mv "$gate/held.tmp" "$gate/held"
	n=0
	while [ -e "$gate/held" ] && [ $n -lt 1000 ]; do sleep 0.01; n=$((n+1)); done
}
[ ! -e "$gate/trouble" ] || . "$gate/trouble"
[ -z "$verb" ] || [ ! -e "$gate/$verb.before.$name" ] || hold "$verb.before"
if [ -n "$verb" ] && [ -e "$gate/$verb.after.$name" ]; then
	"$runtime" "$@"
	status=$?
	hold "$verb.after"
	exit $status
fi
exec "$runtime" "$@"
`

// newGate puts the wrapper in the place of the world's runtime.
func newGate(w *scratch.World) (*gate, error) {
	g := &gate{dir: w.Path("gate")}
	if err := os.Mkdir(g.dir, 0o700); err != nil {
		return nil, err
	}
	wrapper := w.Path("gated-runtime")
	script := fmt.Sprintf(gateForm, g.dir, w.Runtime)
	if err := os.WriteFile(wrapper, []byte(script), 0o700); err != nil {
		return nil, err
	}
	w.Runtime = wrapper
	return g, nil
}

// arm closes the gate for the next call at the point for any instance of name.
func (g *gate) arm(point, name string) error {
	return os.WriteFile(filepath.Join(g.dir, point+"."+name), nil, 0o600)
}

// trouble has each call of the runtime go through shell first, until the gate is opened.
func (g *gate) trouble(shell string) error {
	aside := filepath.Join(g.dir, "trouble.tmp")
	if err := os.WriteFile(aside, []byte(shell), 0o600); err != nil {
		return err
	}
	return os.Rename(aside, filepath.Join(g.dir, "trouble"))
}

// held waits until a call is held and returns the instance it is for.
func (g *gate) held(ctx context.Context) (instance string, err error) {
	err = scratch.Until(ctx, patience, "a runtime call is held at the gate", func() error {
		b, err := os.ReadFile(filepath.Join(g.dir, "held"))
		instance = strings.TrimSpace(string(b))
		return err
	})
	return instance, err
}

// open lets a held call go on, disarms whatever is armed and ends all trouble.
func (g *gate) open() error {
	entries, err := os.ReadDir(g.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.Remove(filepath.Join(g.dir, e.Name())); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	return nil
}

const patience = time.Minute // bounds every wait for what has to happen; nothing is measured by it
