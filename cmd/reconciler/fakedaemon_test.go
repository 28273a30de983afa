package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sys/unix"

	"reconciler.dev/reconciler/pkg/api"
	"reconciler.dev/reconciler/pkg/bundle"
	"reconciler.dev/reconciler/pkg/desired"
	"reconciler.dev/reconciler/pkg/observed"
	"reconciler.dev/reconciler/pkg/reconcile"
	"reconciler.dev/reconciler/pkg/store"
	"reconciler.dev/reconciler/pkg/subreaper"
)

// fakeDaemon is a program: `fakedaemon DIR [NAME]` serves the store in DIR as the controller would, without a runtime. Of
// its containers it keeps NAME alone: as a process that sleeps, started, stopped and replaced as is wanted, and started
// again when it ends.
func fakeDaemon() {
	if err := serveStore(os.Args[1], slices.Concat(os.Args[2:], []string{""})[0]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serveStore(dir, kept string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	db, err := openStore(dir)
	if err != nil {
		return err
	}
	run := filepath.Join(dir, "run")
	if err := os.MkdirAll(run, 0o755); err != nil {
		return err
	}
	l, err := api.Listen(filepath.Join(run, "reconciler.sock"))
	if err != nil {
		return err
	}
	k := &keeper{db: db, name: kept, wake: make(chan struct{}, 1)}
	reader := api.Reader{DB: db, Observe: observed.Looker{Run: subreaper.RunDir(run)}.Look, LogDir: filepath.Join(dir, "logs")}
	hub := api.NewHub(&reader)
	s := api.NewServer(&api.Node{
		Reader:  reader,
		Hub:     hub,
		Wishes:  &reconcile.Sources{Store: db, Load: bundle.Load, Wake: func(...string) { k.look() }, Log: logr.Discard()},
		Wake:    func(string) { k.look() },
		WakeAll: k.look,
		Steps: func(context.Context) (reconcile.Steps, error) {
			return reconcile.Steps{Actions: []reconcile.Action{{Name: "web", Verb: reconcile.Launch, Reason: "Desired"}}}, nil
		},
		Signal: func(_ string, p subreaper.Process, signal string) error {
			number, err := desired.ParseSignal(signal)
			return errors.Join(err, p.Signal(number))
		},
		End:   func(context.Context) error { stop(); return nil },
		Build: api.Version{Version: "v9.9.9", Go: "go1.26"},
	}, logr.Discard())
	actors := map[string]func(context.Context) error{
		"api": func(ctx context.Context) error {
			context.AfterFunc(ctx, func() { _ = s.Shutdown(context.Background()) })
			return s.Serve(l)
		},
		"hub": hub.Run, "keeper": k.run,
	}
	return errors.Join(together(ctx, actors), db.Close())
}

// keeper is all there is of a reconcile loop in the fake daemon.
type keeper struct {
	db    *store.DB
	name  string
	wake  chan struct{}
	child *exec.Cmd
	ended chan error
}

func (k *keeper) look() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

func (k *keeper) run(ctx context.Context) error {
	runtime.LockOSThread() // a child is killed with the thread that made it: prctl(2), PR_SET_PDEATHSIG
	if k.name == "" {
		<-ctx.Done()
		return nil
	}
	for {
		if err := k.step(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-k.wake:
		case <-k.ended:
			if err := k.over(ctx, store.EndFailed); err != nil {
				return err
			}
			k.look()
		}
	}
}

// step starts the process where it is wanted, and ends it where it is not, or not as it is.
func (k *keeper) step(ctx context.Context) error {
	d, err := k.db.Desired(k.name)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	rec, err := k.db.Record(k.name)
	if err != nil {
		return err
	}
	wanted := d != nil && d.State() != desired.Stopped
	if k.child != nil && (!wanted || d.SpecHash() != rec.SpecHash) {
		if err := k.child.Process.Kill(); err != nil {
			return err
		}
		<-k.ended
		if err := k.over(ctx, store.EndAsked); err != nil {
			return err
		}
	}
	if k.child == nil && wanted {
		return k.begin(ctx, d)
	}
	return nil
}

func (k *keeper) begin(ctx context.Context, d *store.Desired) error {
	child := exec.Command("sleep", "1000")
	child.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	if err := child.Start(); err != nil {
		return err
	}
	stat, err1 := subreaper.ReadStat(child.Process.Pid)
	boot, err2 := subreaper.BootID()
	rec, err3 := k.db.Record(k.name)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	k.child, k.ended = child, make(chan error, 1)
	go func() { k.ended <- child.Wait() }()
	rec.LastAttempt++
	rec.Starts++
	rec.SpecHash, rec.ObservedGeneration, rec.ChangedAt = d.SpecHash(), d.Generation, time.Now()
	a := store.Attempt{Number: rec.LastAttempt, Instance: observed.InstanceID(k.name, rec.LastAttempt), SpecHash: rec.SpecHash, IntentAt: time.Now(),
		Process: &subreaper.Process{PID: child.Process.Pid, StartTime: stat.StartTime, BootID: boot}, StartCommitted: time.Now(), Started: true}
	rec.Attempts = []store.Attempt{a}
	return k.db.Commit(ctx, store.Change{Record: &rec, Attempt: &a})
}

func (k *keeper) over(ctx context.Context, end store.End) error {
	status := k.child.ProcessState.Sys().(syscall.WaitStatus)
	rec, err := k.db.Record(k.name)
	if err != nil {
		return err
	}
	a := rec.Attempts[0]
	a.Over = true
	rec.Attempts, rec.End, rec.LastExit = nil, end, &store.Exit{Instance: a.Instance, Attempt: a.Number, Process: *a.Process,
		Signal: new(int(status.Signal())), Reason: "Killed", Message: "killed by " + unix.SignalName(status.Signal()),
		Source: subreaper.SourceWaitid, StartedAt: a.StartCommitted, FinishedAt: time.Now()}
	k.child, k.ended = nil, nil
	return k.db.Commit(context.WithoutCancel(ctx), store.Change{Record: &rec, Attempt: &a, Exit: rec.LastExit})
}
