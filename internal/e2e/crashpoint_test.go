package e2e

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"reconciler.dev/reconciler/internal/runctest"
)

// beyond are the points, by what their names begin with, that a run need not come to.
var beyond = map[string]string{
	"pkg/store/copy.go:": "of a client, which reads beside the daemon",
	"pkg/reconcile/node.go:Node.awaitReaped:unix.PidfdSendSignal": "only where the reaper is slower than we are",
	"pkg/api/listen.go:publish:os.Chown":                          "only where there is a group reconciler",
	"pkg/reconcile/snapshots.go:Snapshots.Take:s.Store.Commit":    "only where no snapshot can be written",
}

// TestControllerKilledAtEveryPoint kills the controller before and after each effect that its code has, once each, in a
// day of a node that makes it do all of them; whatever was under way is finished by the next one. After each part of the
// day, which comes again as long as it leads to new points, the books must balance.
func TestControllerKilledAtEveryPoint(t *testing.T) {
	c := newCrashing(t)
	c.keep("--prune")
	defer c.rest(syscall.SIGKILL)
	for _, part := range []func(*crashing){
		(*crashing).begin, (*crashing).verbs, (*crashing).edits, (*crashing).survivors, (*crashing).nodeVerbs, (*crashing).orphan,
		(*crashing).damage, (*crashing).terminated, (*crashing).oldLogs,
	} {
		for before := -1; before < len(c.killedAt()); {
			before = len(c.killedAt())
			part(c)
			c.balance()
		}
	}
	c.lostStore()
	c.goDown()
	t.Logf("killed %d times", len(c.killedAt()))
	if os.Getenv(envRuntime) == "crun" {
		beyond["pkg/reconcile/node.go:Node.delete:os.RemoveAll"] = "crun deletes what is damaged"
	}
	for begin := range beyond {
		if !slices.ContainsFunc(c.points, func(p string) bool { return strings.HasPrefix(p, begin) }) {
			t.Errorf("there is no point %s any more", begin)
		}
	}
	for _, point := range c.points {
		excused := slices.ContainsFunc(slices.Collect(maps.Keys(beyond)), func(begin string) bool { return strings.HasPrefix(point, begin) })
		if !excused && !slices.Contains(c.killedAt(), point) {
			t.Errorf("no run came to %s", point)
		}
	}
}

// free: it runs, and no verb wants it otherwise.
func (c *crashing) free(name string) func() bool {
	return func() bool { o := c.get(name); return o != nil && o.Status.Override == nil && c.up(name)() }
}

func (c *crashing) begin() {
	web := c.bundle(witness(sleeper), runctest.BundleOptions{})
	c.manifest("web", web, quickStop+"  process: {cwd: /made/here}\n")
	c.until("web has begun", c.up("web"))
	c.manifest("job", c.bundle(witness("exit 7"), runctest.BundleOptions{}), "  restart: {policy: Never}\n")
	c.phase("job", "Failed")
	c.killed("web")
}

func (c *crashing) verbs() {
	c.manifest("deaf", c.bundle(witness("trap '' TERM; while :; do sleep 0.1; done"), runctest.BundleOptions{}), "  stop: {gracePeriod: 0s}\n")
	c.until("deaf has begun", c.up("deaf"))
	c.must(os.Remove(c.file("deaf")))
	c.until("deaf is gone", c.gone("deaf"))

	c.insist(c.is("web", "Stopped"), "stop", "web")
	c.insist(c.free("web"), "start", "web")
	first := c.running("web", 0)
	c.insist(func() bool { return !alive(first) && c.up("web")() }, "restart", "web")
	c.insist(c.is("web", "Paused"), "pause", "web")
	c.insist(c.free("web"), "resume", "web")
	second := c.running("web", 0)
	c.insist(func() bool { return !alive(second) && c.up("web")() }, "kill", "web")
}

func (c *crashing) edits() {
	file := filepath.Join(c.t.TempDir(), "app.yaml")
	bundle := c.bundle(witness(sleeper), runctest.BundleOptions{})
	app := func(more string) {
		c.write(file, fmt.Sprintf("apiVersion: reconciler/v1alpha1\nkind: Container\nmetadata: {name: app}\nspec:\n  bundle: %s\n%s%s", bundle, quickStop, more))
		c.insist(c.up("app"), "apply", "-f", file)
	}
	app("")
	app("  resources: {pids: {limit: 50}}\n")
	c.settled()
	app("  process: {env: {A: b}}\n")
	c.settled()
	c.insist(c.gone("app"), "delete", "app")
}

func (c *crashing) survivors() {
	c.manifest("shared", c.bundle(witness("sleep 100000 & wait"), runctest.BundleOptions{HostPID: true}), quickStop)
	c.until("shared has begun", c.up("shared"))
	c.killed("shared")
	c.must(os.Remove(c.file("shared")))
	c.until("shared is gone", c.gone("shared"))
}

func (c *crashing) nodeVerbs() {
	c.insist(c.is("web", "Stopped"), "down", "--reason", "a test")
	c.insist(c.up("web"), "up")
}

// orphan is a container of nobody's, not seen before it is whole.
func (c *crashing) orphan() {
	c.shut("list.before")
	c.reached("list.before")
	c.create(c.bundle("exec sleep 100000", runctest.BundleOptions{CgroupsPath: c.cgroup + "/nobody.1"}), "nobody.1")
	c.open("list.before")
	c.until("it is pruned", func() bool {
		_, err := os.Lstat(filepath.Join(c.root, "run/runc/nobody.1"))
		return os.IsNotExist(err)
	})
}

func (c *crashing) damage() {
	remains := func() string { return filepath.Join(c.root, "run/runc", c.instance("web")) }
	// A state that the runtime cannot read: runc's, crun's.
	for _, file := range []string{"state.json", "status"} {
		if err := os.Truncate(filepath.Join(remains(), file), 10); err != nil && !os.IsNotExist(err) {
			c.t.Fatal(err)
		}
	}
	c.killed("web")
	// A runtime's directory with a mount in it.
	c.settled()
	c.write(filepath.Join(remains(), "runc.left"), "")
	c.must(unix.Mount("/dev/null", filepath.Join(remains(), "runc.left"), "", unix.MS_BIND, ""))
	c.killed("web")
	// No directory where the runtime's calls are logged.
	c.settled()
	c.must(os.RemoveAll(filepath.Join(c.root, "run/runtime")))
	c.killed("web")
}

// terminated while a call of the runtime hangs.
func (c *crashing) terminated() {
	c.shut("list.before")
	c.reached("list.before")
	c.signal(syscall.SIGTERM)
	c.open("list.before")
}

func (c *crashing) oldLogs() {
	c.must(os.MkdirAll(filepath.Join(c.root, "logs/ghost"), 0o700))
	c.write(filepath.Join(c.root, "logs/ghost/5.log"), "")
	c.signal(syscall.SIGKILL)
	c.manifest("ghost", c.t.TempDir(), "")
	c.until("its number is known", func() bool { o := c.get("ghost"); return o != nil && o.Status.Attempt == 5 })
	c.must(os.Remove(c.file("ghost")))
	c.until("it is gone", c.gone("ghost"))
	c.settled()
	c.signal(syscall.SIGKILL)
	c.until("its logs are gone", func() bool {
		_, err := os.Lstat(filepath.Join(c.root, "logs/ghost"))
		return os.IsNotExist(err)
	})
}

// lostStore: whatever was there is taken back, and nothing is started beside it.
func (c *crashing) lostStore() {
	c.must(os.Remove(c.file("job"))) // else it would run once more
	c.until("job is gone", c.gone("job"))
	pid, starts := c.running("web", 0), len(c.lines("starts"))
	c.rest(syscall.SIGKILL)
	c.must(os.Truncate(filepath.Join(c.root, "state/reconciler.db"), 4096))
	c.keep("--prune")
	if now := c.running("web", 0); now != pid {
		c.t.Errorf("pid %d became %d", pid, now)
	}
	c.settled()
	if now := len(c.lines("starts")); now != starts {
		c.t.Errorf("%d starts became %d", starts, now)
	}
}

// goDown ends all there is, by a controller that is killed on the way.
func (c *crashing) goDown() {
	c.until("the node is down", func() bool {
		_, _ = c.try("down", "--exit")
		select {
		case <-c.idle:
			return true
		default:
			return false
		}
	})
}
