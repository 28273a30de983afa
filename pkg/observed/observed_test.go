package observed

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"reconciler.dev/reconciler/internal/runctest"
	"reconciler.dev/reconciler/pkg/cgroup"
	"reconciler.dev/reconciler/pkg/subreaper"
)

func TestMain(m *testing.M) { runctest.Main(m) }

func TestInstanceID(t *testing.T) {
	for id, ok := range map[string]bool{
		"web.1": true, "a-b.17": true, "web": false, "web.": false, "web.0": false, "web.-1": false, "web.01": false,
		"web.1.2": false, ".1": false, "web.x": false, "web.99999999999999999999": false,
	} {
		name, n, got := ParseInstanceID(id)
		if got != ok || ok && InstanceID(name, n) != id {
			t.Errorf("%q: %q %d %v", id, name, n, got)
		}
	}
}

// lab is an observer on directories of the test's own, with children of the test in the place of inits: the test is the
// stranger who reaps.
type lab struct {
	*Observer
	t    *testing.T
	ids  []string
	fail error

	during func() // called while a list is under way
}

func newLab(t *testing.T) *lab {
	runctest.Require(t, runctest.Root, runctest.Pidfd)
	l := &lab{t: t, during: func() {}}
	dir := t.TempDir()
	cgroups, err := cgroup.Open(runctest.CgroupParent(t))
	if err != nil {
		t.Fatal(err)
	}
	l.Observer, err = New(Config{
		Looker:     Looker{Run: subreaper.RunDir(dir), RuntimeRoot: filepath.Join(dir, "runc"), Cgroups: cgroups},
		BundlesDir: filepath.Join(dir, "bundles"), LogsDir: filepath.Join(dir, "logs"),
		Ask: func(context.Context) ([]string, error) { l.during(); return l.ids, l.fail },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	for _, d := range []string{l.RuntimeRoot, l.BundlesDir, l.Run.InstancesDir(), l.Run.ExitsDir()} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

// child starts a child that exits with 7 when told; end lets it, reap reaps it.
func (l *lab) child() (p subreaper.Process, end, reap func()) {
	l.t.Helper()
	cmd := exec.Command("sh", "-c", "read line; exit 7")
	in, err := cmd.StdinPipe()
	if err != nil {
		l.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	stat, err := subreaper.ReadStat(cmd.Process.Pid)
	if err != nil {
		l.t.Fatal(err)
	}
	boot, err := subreaper.BootID()
	if err != nil {
		l.t.Fatal(err)
	}
	reaped := false
	reap = func() {
		if !reaped {
			reaped = true
			_ = cmd.Wait()
		}
	}
	l.t.Cleanup(func() { _ = in.Close(); reap() })
	p = subreaper.Process{PID: cmd.Process.Pid, StartTime: stat.StartTime, BootID: boot}
	end = func() {
		_ = in.Close()
		for s := stat; s.State != 'Z'; {
			if s, err = subreaper.ReadStat(p.PID); err != nil {
				l.t.Fatal(err)
			}
		}
	}
	return p, end, reap
}

func (l *lab) put(path string, v any) {
	l.t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		l.t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) launched(id string, p subreaper.Process) {
	l.put(l.Run.Instance(id), subreaper.Instance{ID: id, Process: p})
}

func (l *lab) one(q Question) Instance {
	l.t.Helper()
	i, ok := l.Look(nil, []Question{q}).Instances[q.ID]
	if !ok {
		l.t.Fatal("no answer")
	}
	return i
}

func TestLookAtALife(t *testing.T) {
	l := newLab(t)
	q := Question{ID: "web.1"}
	if i := l.one(q); i.Life != NoProcess || i.Unknown != "" {
		t.Errorf("before the launch: %+v", i)
	}
	p, end, reap := l.child()
	l.launched("web.1", p)
	if i := l.one(q); i.Life != Alive || i.Process != p || i.Ours {
		t.Errorf("alive, and no child of a pair: %+v", i)
	}
	end()
	i := l.one(q)
	if i.Life != Dead || i.Exit == nil || i.Exit.Source != subreaper.SourceProcstat || i.Exit.Status.ExitStatus() != 7 {
		t.Errorf("a zombie whose parent is no pair's: %+v %+v", i, i.Exit)
	}
	reap()
	i = l.one(q)
	if i.Life != Dead || i.Exit != nil && (i.Exit.Source != subreaper.SourcePidfd || i.Exit.Status.ExitStatus() != 7) {
		t.Errorf("reaped by a stranger: %+v %+v", i, i.Exit)
	}
	exit := subreaper.Exit{Instance: "web.1", Process: p, Status: 7 << 8, Source: subreaper.SourceWaitid, FinishedAt: time.Now().UTC()}
	l.put(l.Run.Exit("web.1"), exit)
	if i := l.one(q); i.Exit == nil || !reflect.DeepEqual(*i.Exit, exit) {
		t.Errorf("recorded: %+v", i.Exit)
	}
}

// TestAnotherStartTimeIsAnotherProcess: the pid was reused; nothing that is said of it is about the instance.
func TestAnotherStartTimeIsAnotherProcess(t *testing.T) {
	l := newLab(t)
	p, _, _ := l.child()
	was := p
	was.StartTime--
	i := l.one(Question{ID: "web.1", Process: &was})
	if i.Life != Dead || i.Exit == nil || i.Exit.Source != subreaper.SourceUnknown {
		t.Errorf("%+v %+v", i, i.Exit)
	}
	l.put(l.Run.Exit("web.1"), subreaper.Exit{Instance: "web.1", Process: p, Source: subreaper.SourceWaitid})
	if i := l.one(Question{ID: "web.1", Process: &was}); i.Exit == nil || i.Exit.Source != subreaper.SourceUnknown {
		t.Errorf("the exit of another process was taken: %+v", i.Exit)
	}
}

func TestAnotherBoot(t *testing.T) {
	l := newLab(t)
	p, _, _ := l.child()
	p.BootID = "11111111-2222-3333-4444-555555555555"
	i := l.one(Question{ID: "web.1", Process: &p})
	if i.Life != Dead || i.Exit == nil || i.Exit.Reason != subreaper.ReasonHostRebooted {
		t.Errorf("%+v %+v", i, i.Exit)
	}
}

// TestWhileTheGuardOwesARecord: the pid is gone unseen, and there is an instance file: the guard will answer for it.
func TestWhileTheGuardOwesARecord(t *testing.T) {
	l := newLab(t)
	p, end, reap := l.child()
	end()
	reap()
	l.launched("web.1", p)
	if i := l.one(Question{ID: "web.1"}); i.Life != Dead || i.Exit != nil {
		t.Errorf("%+v %+v", i, i.Exit)
	}
	if err := os.Remove(l.Run.Instance("web.1")); err != nil {
		t.Fatal(err)
	}
	if i := l.one(Question{ID: "web.1", Process: &p}); i.Exit == nil || i.Exit.Source != subreaper.SourceUnknown {
		t.Errorf("nobody is left to tell: %+v", i)
	}
}

// TestDamagedRecords: cut short by a power failure, say. An instance that was never started is given up; an exit is what
// the kernel still tells, else honestly unknown.
func TestDamagedRecords(t *testing.T) {
	l := newLab(t)
	garbage := func(path string) {
		if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	garbage(l.Run.Instance("web.1"))
	if i := l.one(Question{ID: "web.1"}); i.Life != Dead || i.Exit != nil {
		t.Errorf("%+v", i)
	}
	p, end, reap := l.child()
	l.one(Question{ID: "web.2", Process: &p})
	end()
	garbage(l.Run.Exit("web.2"))
	if i := l.one(Question{ID: "web.2", Process: &p}); i.Exit == nil || i.Exit.Status.ExitStatus() != 7 {
		t.Errorf("its zombie can be asked: %+v", i)
	}
	reap()
	l.Forget("web.2")
	if i := l.one(Question{ID: "web.2", Process: &p}); i.Exit == nil || i.Exit.Source != subreaper.SourceUnknown {
		t.Errorf("nobody can be asked: %+v", i)
	}
}

// TestAKnownStatusBeatsAnUnknownRecord: the new guard had no pidfd in time and wrote `unknown`; we held one.
func TestAKnownStatusBeatsAnUnknownRecord(t *testing.T) {
	l := newLab(t)
	p, end, _ := l.child()
	q := Question{ID: "web.1", Process: &p}
	l.one(q)
	end()
	l.put(l.Run.Exit("web.1"), subreaper.Exit{Instance: "web.1", Process: p, Source: subreaper.SourceUnknown, Reason: subreaper.ReasonUnseen})
	if i := l.one(q); i.Exit == nil || i.Exit.Source != subreaper.SourceProcstat || i.Exit.Status.ExitStatus() != 7 {
		t.Errorf("%+v", i.Exit)
	}
}

// TestUnreadableIsUnknownNotAbsent: here the file is no file.
func TestUnreadableIsUnknownNotAbsent(t *testing.T) {
	l := newLab(t)
	if err := os.Mkdir(l.Run.Instance("web.1"), 0o700); err != nil {
		t.Fatal(err)
	}
	if i := l.one(Question{ID: "web.1"}); i.Unknown == "" {
		t.Errorf("%+v", i)
	}
}

// TestTheRuntimeKnowsNothingOfIt: its directory in the runtime's root is gone.
func TestTheRuntimeKnowsNothingOfIt(t *testing.T) {
	l := newLab(t)
	p, _, _ := l.child()
	dir := filepath.Join(l.RuntimeRoot, "web.1")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if i := l.one(Question{ID: "web.1", Process: &p}); i.Life != Alive || i.Lost {
		t.Errorf("%+v", i)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if i := l.one(Question{ID: "web.1", Process: &p}); i.Life != Alive || !i.Lost {
		t.Errorf("%+v", i)
	}
}

// TestAFailedListIsNoEmptyList: until a list succeeds nothing is known; one that fails later takes nothing back.
func TestAFailedListIsNoEmptyList(t *testing.T) {
	l := newLab(t)
	names := []string{"web", "db"}
	l.fail = errors.New("the runtime hangs")
	if err := l.List(t.Context()); err == nil {
		t.Error("no error")
	}
	if s := l.Look(names, nil); !strings.Contains(s.Unlisted, "hangs") {
		t.Errorf("%+v", s)
	}
	l.fail, l.ids = nil, []string{"web.3", "stranger", "gone.1"}
	for _, dir := range []string{
		filepath.Join(l.BundlesDir, "web.3"), filepath.Join(l.RuntimeRoot, "web.4"), filepath.Join(l.BundlesDir, "web.4"),
		filepath.Join(l.BundlesDir, "db.2"), filepath.Join(l.RuntimeRoot, "web.6"), // nothing of ours is about it
	} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{l.Run.Launching("web.5"), filepath.Join(l.Run.ExitsDir(), ".aside.tmp")} {
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(l.LogsDir, "web"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(l.LogsDir, "web", "17.log"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := l.List(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := map[string][]int{"web": {3, 4, 5}, "db": {2}}
	if s := l.Look(names, nil); s.Unlisted != "" || !reflect.DeepEqual(s.Seen, want) || s.Highest["web"] != 17 {
		t.Errorf("%+v, want %v", s, want)
	}
	known := func(name string) bool { return name == "web" || name == "db" }
	if orphans := l.Orphans(known); !reflect.DeepEqual(orphans, []string{"gone.1", "stranger", "web.6"}) {
		t.Errorf("orphans %q", orphans)
	}
	// What is cleaned up while a list is under way is not seen again.
	l.during = func() { l.Forget("web.3") }
	if err := l.List(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.during = func() {}
	l.Forget("web.4")
	l.fail = errors.New("the runtime hangs")
	_ = l.List(t.Context())
	want["web"] = []int{5}
	if s := l.Look(names, nil); s.Unlisted != "" || !reflect.DeepEqual(s.Seen, want) {
		t.Errorf("after a later failure: %+v", s)
	}
}

// watching is a Watch under way: woken names the containers to look at, wiped asks for a Rewatch.
type watching struct {
	*lab
	woken chan string
	wiped chan struct{}
}

func (l *lab) watching() watching {
	w := watching{lab: l, woken: make(chan string, 1024), wiped: make(chan struct{}, 1024)}
	ctx, cancel := context.WithCancel(l.t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- l.Watch(ctx, func(name string) { w.woken <- name }, func() {}, func() { w.wiped <- struct{}{} })
	}()
	l.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			l.t.Error(err)
		}
	})
	// The watch is set up when a file wakes it.
	for set := false; !set; {
		l.put(l.Run.Instance("probe.1"), subreaper.Instance{})
		select {
		case <-w.woken:
			set = true
		case <-time.After(10 * time.Millisecond):
			if err := os.Remove(l.Run.Instance("probe.1")); err != nil {
				l.t.Fatal(err)
			}
		}
	}
	return w
}

func (w watching) await(name, what string) {
	w.t.Helper()
	limit := time.After(30 * time.Second)
	for {
		select {
		case got := <-w.woken:
			if got == name {
				return
			}
		case <-limit:
			w.t.Fatalf("not woken by %s", what)
		}
	}
}

// TestWatchTellsWhomToLookAt: a death by the pidfd, the reaping again, a record by inotify.
func TestWatchTellsWhomToLookAt(t *testing.T) {
	l := newLab(t)
	w := l.watching()
	await := w.await
	p, end, reap := l.child()
	l.launched("web.1", p)
	await("web", "the instance file")
	l.one(Question{ID: "web.1"})
	end()
	await("web", "the death")
	reap()
	await("web", "the reaping")
	l.put(l.Run.Exit("db.1"), subreaper.Exit{})
	await("db", "the exit file")
}

// TestWatchAgainAfterAWipe: a directory that took the place of another one has nobody watching it.
func TestWatchAgainAfterAWipe(t *testing.T) {
	for name, wipe := range map[string]func(l *lab) error{
		"exits":   func(l *lab) error { return os.RemoveAll(l.Run.ExitsDir()) },
		"removed": func(l *lab) error { return errors.Join(os.RemoveAll(string(l.Run)), os.Mkdir(string(l.Run), 0o711)) },
		"moved away": func(l *lab) error {
			return errors.Join(os.Rename(string(l.Run), string(l.Run)+".old"), os.Mkdir(string(l.Run), 0o711))
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			w := l.watching()
			if err := wipe(l); err != nil {
				t.Fatal(err)
			}
			select {
			case <-w.wiped:
			case <-time.After(30 * time.Second):
				t.Fatal("the wipe is not told")
			}
			if err := l.Rewatch(); err != nil {
				t.Fatal(err)
			}
			l.put(l.Run.Exit("db.1"), subreaper.Exit{})
			w.await("db", "the exit file in another directory")
		})
	}
}
