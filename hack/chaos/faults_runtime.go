package main

import (
	"context"
	"fmt"
	"os"
	"time"
)

// runtimeFaults are troubles of the runtime itself. Containers are killed meanwhile, since a node at rest calls it rarely.
var runtimeFaults = []fault{
	{"runtime killed in a create", killedRuntime("create")},
	{"runtime killed in a start", killedRuntime("start")},
	{"runtime killed in a delete", killedRuntime("delete")},
	{"runtime hangs in a create", trouble(hang("create"))},
	{"runtime hangs in a start", trouble(hang("start"))},
	{"runtime hangs in a delete", trouble(hang("delete"))},
	{"runtime fails", trouble(`echo '{"level":"error","msg":"chaos"}' >&2; exit 1`)},
	{"runtime lies about a create", trouble(lie("create"))},
	{"runtime lies about a start", trouble(lie("start"))},
	{"runtime lies about a delete", trouble(lie("delete"))},
	{"runtime raves", trouble(`head -c 3000 /dev/urandom; exit 0`)},
	{"runtime is slow", trouble(`sleep 0.3`)},
	{"runtime is away", (*killer).runtimeAway},
}

func hang(verb string) string {
	return fmt.Sprintf(`[ "$verb" != %s ] || while [ -e "$gate/trouble" ]; do sleep 0.02; done`, verb)
}

func lie(verb string) string { return fmt.Sprintf(`[ "$verb" != %s ] || exit 0`, verb) }

// trouble has the runtime misbehave for up to a second.
func trouble(shell string) func(*killer, context.Context) error {
	return func(k *killer, ctx context.Context) error { return k.trouble(ctx, shell) }
}

// killedRuntime kills it in the midst of its work, some milliseconds after its start.
func killedRuntime(verb string) func(*killer, context.Context) error {
	return func(k *killer, ctx context.Context) error {
		return k.trouble(ctx, fmt.Sprintf(`if [ "$verb" = %s ]; then
	"$runtime" "$@" &
	sleep 0.%03d; kill -9 $!; wait $!; exit 137
fi`, verb, 1+k.rng.IntN(60)))
	}
}

func (k *killer) trouble(ctx context.Context, shell string) error {
	targets, err := k.several(ctx)
	if err != nil {
		return err
	}
	if err := k.gate.trouble(shell); err != nil {
		return err
	}
	for _, t := range targets {
		if err := k.hit(t); err != nil {
			return err
		}
	}
	time.Sleep(100 * time.Millisecond)
	k.pause(ctx, 900*time.Millisecond)
	return k.gate.open()
}

// several are one to three that run.
func (k *killer) several(ctx context.Context) (found []target, err error) {
	for range 1 + k.rng.IntN(3) {
		t, err := k.some(ctx)
		if err != nil {
			return nil, err
		}
		found = append(found, t)
	}
	return found, nil
}

// runtimeAway has the runtime's binary vanish for a while.
func (k *killer) runtimeAway(ctx context.Context) error {
	targets, err := k.several(ctx)
	if err != nil {
		return err
	}
	away := k.w.Runtime + ".away"
	if err := os.Rename(k.w.Runtime, away); err != nil {
		return err
	}
	for _, t := range targets {
		if err := k.hit(t); err != nil {
			return err
		}
	}
	k.pause(ctx, time.Second)
	return os.Rename(away, k.w.Runtime)
}
