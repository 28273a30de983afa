package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"reconciler.dev/reconciler/hack/internal/scratch"
)

// containerFaults are done to containers behind the controller's back.
var containerFaults = []fault{
	{"init killed", (*killer).killInits},
	{"all processes of a container killed", (*killer).killMembers},
	{"child of a container killed", (*killer).killChild},
	{"cgroup frozen by hand", (*killer).freeze},
	{"container paused by the runtime's own command", byRuntime("pause")},
	{"container killed by the runtime's own command", byRuntime("kill", "KILL")},
	{"container deleted by the runtime's own command", byRuntime("delete")},
	{"pid of a dead init taken over", (*killer).takePID},
}

func (k *killer) killInits(ctx context.Context) error {
	targets, err := k.several(ctx)
	for _, t := range targets {
		err = errors.Join(err, k.hit(t))
	}
	return err
}

func (k *killer) killMembers(ctx context.Context) error {
	t, err := k.some(ctx)
	if err != nil {
		return err
	}
	for _, p := range k.w.Members(t.instance) {
		err = errors.Join(err, k.strike(initVictim, p, t.instance))
	}
	return err
}

// killChild takes a process from a container that goes on without it.
func (k *killer) killChild(ctx context.Context) error {
	t, err := k.living(ctx, pick(k.rng, "shared-1", "shared-2", "shared-3", "forker-1", "forker-2", "forker-3"))
	if err != nil {
		return err
	}
	for _, p := range k.w.Members(t.instance) {
		if p != t.init {
			_ = p.Signal(syscall.SIGKILL) // a short-lived one may be gone
		}
	}
	return nil
}

// freeze pauses a container without any command: the controller lets it run on, since nobody asked for a pause.
func (k *killer) freeze(ctx context.Context) error {
	t, err := k.some(ctx)
	if err != nil {
		return err
	}
	k.tell("freeze %s", t.instance)
	for _, dir := range k.w.Cgroups() {
		if filepath.Base(dir) != t.instance {
			continue
		}
		for file, text := range map[string]string{"freezer.state": "FROZEN", "cgroup.freeze": "1"} {
			if f, err := os.OpenFile(filepath.Join(dir, file), os.O_WRONLY, 0); err == nil {
				_, _ = f.WriteString(text) // it may have ended meanwhile
				f.Close()
			}
		}
	}
	return nil
}

// byRuntime runs a command of the runtime on a container, as somebody who knows nothing of us would.
func byRuntime(verb string, more ...string) func(*killer, context.Context) error {
	return func(k *killer, ctx context.Context) error {
		t, err := k.some(ctx)
		if err != nil {
			return err
		}
		if verb != "pause" {
			k.kills = append(k.kills, kill{initVictim, t.instance, time.Now()})
		}
		args := []string{"--root", k.inRun("runc"), verb}
		if verb == "delete" {
			args = append(args, "--force")
		}
		out, err := exec.CommandContext(ctx, k.runtime, append(append(args, t.instance), more...)...).CombinedOutput()
		k.tell("%s %s: %v %s", verb, t.instance, err, out) // what it says of one that has just ended is its own matter
		return ctx.Err()
	}
}

// stranger is a process that got the pid of an init that was dead, and must be left alone.
type stranger struct {
	cmd *exec.Cmd
	p   scratch.Process
}

// errUnable says that this machine does not let a fault be made.
var errUnable = errors.New("not possible here")

// takePID has a stranger take over the pid of an init that ended while no controller was there to be told.
func (k *killer) takePID(ctx context.Context) error {
	const lastPID = "/proc/sys/kernel/ns_last_pid"
	t, err := k.some(ctx)
	if err != nil {
		return err
	}
	if f, err := os.OpenFile(lastPID, os.O_WRONLY, 0); err != nil {
		return fmt.Errorf("%w: %w", errUnable, err)
	} else {
		f.Close()
	}
	if err := k.killController(); err != nil {
		return err
	}
	if err := k.hit(t); err != nil {
		return err
	}
	err = scratch.Until(ctx, patience, "the init is reaped", func() error {
		_, err := scratch.Find(t.init.PID)
		if err == nil {
			return errors.New("it is there")
		}
		return nil
	})
	for range 50 {
		if err != nil {
			return err
		}
		if err := os.WriteFile(lastPID, fmt.Append(nil, t.init.PID-1), 0); err != nil {
			return err
		}
		cmd := exec.Command("sleep", "100000")
		if err := cmd.Start(); err != nil {
			return err
		}
		p, err := scratch.Find(cmd.Process.Pid)
		if err != nil {
			return err
		}
		if p.PID == t.init.PID {
			k.tell("a stranger is pid %d", p.PID)
			k.strangers = append(k.strangers, stranger{cmd, p})
			break
		}
		_ = cmd.Process.Kill() // somebody else was quicker to fork
		_ = cmd.Wait()
	}
	return k.w.Start(ctx)
}

// lookAfterStrangers holds that none was harmed, and ends them.
func (k *killer) lookAfterStrangers() {
	for _, s := range k.strangers {
		if !s.p.Alive() {
			k.violated(other, "the stranger with pid %d was killed", s.p.PID)
		}
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
	}
	k.strangers = nil
}
