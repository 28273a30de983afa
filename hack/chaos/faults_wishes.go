package main

import (
	"context"
	"fmt"
	"os"
	"time"
)

// wishFaults change what is wanted, in ways that people do in the middle of everything else.
var wishFaults = []fault{
	{"manifest edited", func(k *killer, ctx context.Context) error { return k.edit(pick(k.rng, kinds...)) }},
	{"manifest removed and back", (*killer).removed},
	{"manifest broken for a while", (*killer).garbled},
	{"manifests directory renamed and back", (*killer).renamed},
	{"stop and start", verbs("stop", "start")},
	{"restart", verbs("restart")},
	{"pause and resume", verbs("pause", "resume")},
	{"start of what is over", (*killer).again},
	{"kill by verb", (*killer).killVerb},
	{"down and up", (*killer).down},
}

// edit writes a manifest that differs from all before it.
func (k *killer) edit(kind kind) error {
	k.edits++
	k.askFor(kind.name)
	k.tell("edit %s", kind.name)
	k.written[kind.name] = fmt.Sprint(k.edits)
	return kind.put(k.w, k.written[kind.name])
}

func (k *killer) removed(ctx context.Context) error {
	kind := pick(k.rng, kinds...)
	k.askFor(kind.name)
	k.tell("remove %s", kind.name)
	if err := k.w.Remove(kind.name + ".yaml"); err != nil {
		return err
	}
	k.pause(ctx, 300*time.Millisecond)
	return k.edit(kind)
}

// garbled writes what is no manifest over one, and then what was there before: nothing may come of it.
func (k *killer) garbled(ctx context.Context) error {
	kind := pick(k.rng, kinds...)
	k.tell("garble %s", kind.name)
	if err := os.WriteFile(k.w.Path("manifests", kind.name+".yaml"), []byte("kind: [Container"), 0o600); err != nil {
		return err
	}
	k.pause(ctx, 300*time.Millisecond)
	return kind.put(k.w, k.written[kind.name])
}

// renamed takes the whole directory away: nothing may come of that either.
func (k *killer) renamed(ctx context.Context) error {
	k.tell("rename the manifests directory")
	here, away := k.w.Path("manifests"), k.w.Path("away")
	if err := os.Rename(here, away); err != nil {
		return err
	}
	k.pause(ctx, 500*time.Millisecond)
	return os.Rename(away, here)
}

// verbs are uttered one after the other about one that lasts.
func verbs(each ...string) func(*killer, context.Context) error {
	return func(k *killer, ctx context.Context) error {
		t, err := k.some(ctx)
		for _, verb := range each {
			if err != nil {
				return err
			}
			err = k.retry(ctx, verb, t.name)
			k.pause(ctx, 200*time.Millisecond)
		}
		return err
	}
}

// again starts what may have completed or failed once more.
func (k *killer) again(ctx context.Context) error {
	return k.retry(ctx, "start", pick(k.rng, "job", "job-b", "once", "once-b"))
}

func (k *killer) killVerb(ctx context.Context) error {
	t, err := k.some(ctx)
	if err != nil {
		return err
	}
	k.askFor(t.name)
	k.tell("kill -s TERM %s", t.name)
	_, _ = k.w.CLI(ctx, "kill", "-s", "TERM", t.name) // it may just have ended
	return ctx.Err()
}

// down stops the whole node, and up lets it go on.
func (k *killer) down(ctx context.Context) error {
	k.askForAll()
	k.tell("down")
	if _, err := k.w.CLI(ctx, "down", "--reason", "chaos"); err != nil {
		return err
	}
	k.pause(ctx, 300*time.Millisecond)
	_, err := k.w.CLI(ctx, "up")
	return err
}
