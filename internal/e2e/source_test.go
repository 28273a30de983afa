package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"reconciler.dev/reconciler/internal/runctest"
)

// stopped is what most manifests here say: what is tried is who is believed, not how containers run.
const stopped = "  state: Stopped\n"

func (w *world) manifests(elem ...string) string {
	return filepath.Join(w.root, "manifests", filepath.Join(elem...))
}

// told waits for an event about an object.
func (w *world) told(object, reason string) {
	w.t.Helper()
	w.until(object+": "+reason, func() bool {
		out, err := w.try("events", object)
		return err == nil && strings.Contains(out, reason)
	})
}

// names are all containers there are.
func (w *world) names() string { return strings.Join(strings.Fields(w.run("get", "-o", "name")), " ") }

// undisturbed fails if the container is not the process it was.
func (w *world) undisturbed(name string, pid int) {
	w.t.Helper()
	if c := w.get(name); c == nil || c.Status.PID == nil || *c.Status.PID != pid || !alive(pid) {
		w.t.Fatalf("%s is disturbed: %+v\n%s", name, c, w.state())
	}
}

// web is a world with one running container, in which nothing is found by the resync alone.
func web(t *testing.T) (w *world, pid int) {
	w = newWorld(t)
	w.start("--resync", "1h")
	w.manifest("web", w.bundle(forever, runctest.BundleOptions{}), "  stop: {gracePeriod: 0s}\n")
	return w, w.running("web", 0)
}

// TestASourceThatCannotBeTrusted changes nothing, and is followed again when it is mended.
func TestASourceThatCannotBeTrusted(t *testing.T) {
	w, pid := web(t)
	bundle := w.broken(`{"process": {"args": ["true"], "cwd": "/"}, "root": {"path": "rootfs"}}`)
	dir := w.manifests()
	for i, fault := range []struct {
		name       string
		make, mend func() error
	}{
		{"for everybody", func() error { return os.Chmod(dir, 0o777) }, func() error { return os.Chmod(dir, 0o755) }},
		{"another's", func() error { return os.Chown(dir, 1000, 1000) }, func() error { return os.Chown(dir, 0, 0) }},
		{"gone", func() error { return os.Rename(dir, dir+".away") }, func() error { return os.Rename(dir+".away", dir) }},
		{"a FIFO", func() error { return errorsOf(os.Rename(dir, dir+".away"), syscall.Mkfifo(dir, 0o600)) },
			func() error { return errorsOf(os.Remove(dir), os.Rename(dir+".away", dir)) }},
		{"an empty one", func() error { return errorsOf(os.Rename(dir, dir+".away"), os.Mkdir(dir, 0o755)) },
			func() error { return errorsOf(os.Remove(dir), os.Rename(dir+".away", dir)) }},
	} {
		w.must(fault.make())
		w.until(fault.name+" is told", func() bool { return !w.followed() })
		w.undisturbed("web", pid)
		w.must(fault.mend())
		w.until(fault.name+" is over", w.followed)
		name := fmt.Sprintf("after%d", i)
		w.manifest(name, bundle, stopped) // it is followed, not only believed
		w.phase(name, "Stopped")
		w.undisturbed("web", pid)
	}
}

func (w *world) followed() bool {
	return strings.Contains(strings.ReplaceAll(w.run("sources", "-o", "json"), " ", ""), `"problem":""`)
}

func errorsOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// TestAnUnmountedSource looks empty, and so does one that is mounted over: in the controller's own mount namespace. The
// pair stays in ours.
func TestAnUnmountedSource(t *testing.T) {
	w, pid := web(t)
	w.kill()
	w.unshare = syscall.CLONE_NEWNS
	w.start("--resync", "200ms") // inotify(7) tells no mounts
	w.undisturbed("web", pid)
	inside := func(args ...string) {
		t.Helper()
		enter := []string{"-m", "-t", fmt.Sprint(w.daemon.Process.Pid), "--"}
		if out, err := exec.Command("nsenter", append(enter, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("%q: %v: %s", args, err, out)
		}
	}
	inside("mount", "-t", "tmpfs", "-o", "mode=755", "none", w.manifests())
	w.until("another directory is told", func() bool { return !w.followed() })
	w.undisturbed("web", pid)
	inside("umount", w.manifests())
	w.until("it is back", w.followed)
	w.undisturbed("web", pid)
}

// TestAConfigMap is followed over swaps of ..data, which no event about a manifest tells.
func TestAConfigMap(t *testing.T) {
	w := newWorld(t)
	w.start("--resync", "1h")
	bundle := w.broken(`{"process": {"args": ["true"], "cwd": "/"}, "root": {"path": "rootfs"}}`)
	text := "apiVersion: reconciler/v1alpha1\nkind: Container\nmetadata: {name: web, labels: {at: v%d}}\nspec: {bundle: " + bundle + ", state: Stopped}\n"
	for i := range 4 {
		data := fmt.Sprintf("..%d", i)
		w.must(os.Mkdir(w.manifests(data), 0o755))
		w.write(w.manifests(data, "web.yaml"), fmt.Sprintf(text, i))
		w.must(os.Symlink(data, w.manifests("..tmp")))
		w.must(os.Rename(w.manifests("..tmp"), w.manifests("..data")))
		if i == 0 {
			w.must(os.Symlink("..data/web.yaml", w.manifests("web.yaml")))
		}
		w.until(data+" is taken in", func() bool {
			c := w.get("web")
			return c != nil && c.Metadata.Labels["at"] == fmt.Sprintf("v%d", i)
		})
	}
}

// TestNoManifests: whatever lies there under a manifest's name is one error, and nothing outside is read.
func TestNoManifests(t *testing.T) {
	w, pid := web(t)
	outside := filepath.Join(t.TempDir(), "outside.yaml")
	w.write(outside, "apiVersion: reconciler/v1alpha1\nkind: Container\nmetadata: {name: outside}\nspec: {bundle: /b}\n")
	bomb := "a: &a [x, x, x, x, x, x, x, x]\n"
	for c := 'b'; c < 'k'; c++ {
		bomb += fmt.Sprintf("%c: &%c [*%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c]\n", c, c, c-1, c-1, c-1, c-1, c-1, c-1, c-1, c-1)
	}
	for file, make := range map[string]func(path string) error{
		"fifo":     func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"device":   func(path string) error { return unix.Mknod(path, unix.S_IFCHR|0o600, int(unix.Mkdev(1, 5))) },
		"dir":      func(path string) error { return os.Mkdir(path, 0o755) },
		"out":      func(path string) error { return os.Symlink(outside, path) },
		"relative": func(path string) error { return os.Symlink("../../../../../../etc/passwd", path) },
		"dangling": func(path string) error { return os.Symlink("nothing", path) },
		"bomb":     func(path string) error { return os.WriteFile(path, []byte(bomb), 0o600) },
		"sparse":   func(path string) error { return errorsOf(os.WriteFile(path, nil, 0o600), os.Truncate(path, 300<<20)) },
		"socket":   func(path string) error { return unix.Mknod(path, unix.S_IFSOCK|0o600, 0) },
	} {
		w.must(make(w.manifests(file + ".yaml")))
		w.told(file+".yaml", "ManifestInvalid")
	}
	w.undisturbed("web", pid)
	if names := w.names(); names != "web" {
		t.Errorf("there are %q", names)
	}
}

// TestAFileThatFlips between good and bad keeps its last good containers, and ends as its last text says.
func TestAFileThatFlips(t *testing.T) {
	w, pid := web(t)
	text, err := os.ReadFile(w.file("web"))
	w.must(err)
	bad := []byte("spec: [")
	for range 200 {
		w.must(os.WriteFile(w.file("web"), bad, 0o600))
		w.must(os.WriteFile(w.file("web"), text, 0o600))
	}
	w.must(os.WriteFile(w.file("web"), bad, 0o600))
	w.until("it is bad in the end", func() bool { return strings.Contains(w.run("sources", "-o", "json"), "web.yaml:1:8") })
	w.undisturbed("web", pid)
	w.must(os.WriteFile(w.file("web"), text, 0o600))
	w.until("it is good in the end", func() bool { return !strings.Contains(w.run("sources", "-o", "json"), "web.yaml:1:8") })
	w.undisturbed("web", pid)
}

// TestOneOwner: a name stays with its recorded owner, who is told to the other one, also when both are met cold; without
// one it is the first's in byte order.
func TestOneOwner(t *testing.T) {
	w := newWorld(t)
	w.start("--resync", "1h")
	bundle := w.broken(`{"process": {"args": ["true"], "cwd": "/"}, "root": {"path": "rootfs"}}`)
	claim := func(file string) {
		t.Helper()
		w.write(w.manifests(file+".tmp"), "apiVersion: reconciler/v1alpha1\nkind: Container\nmetadata: {name: web}\nspec: {bundle: "+bundle+", state: Stopped}\n")
		w.must(os.Rename(w.manifests(file+".tmp"), w.manifests(file+".yaml")))
	}
	owned := func(owner, loser string) {
		t.Helper()
		w.until(loser+".yaml is told of "+owner, func() bool {
			c, sources := w.get("web"), w.run("sources", "-o", "json")
			return c != nil && c.Metadata.Source == "manifests/"+owner+".yaml" &&
				strings.Contains(sources, loser+`.yaml: metadata.name: \"web\" belongs to manifests/`+owner+".yaml")
		})
	}
	claim("m")
	w.phase("web", "Stopped")
	claim("a")
	owned("m", "a")
	claim("z")
	owned("m", "z")
	w.restart() // the recorded owner wins over the first
	owned("m", "a")
	owned("m", "z")
	w.must(os.Remove(w.manifests("m.yaml")))
	owned("a", "z") // without one: the first
	w.kill()
	w.must(os.Remove(w.manifests("a.yaml")))
	claim("b")
	w.start("--resync", "1h")
	owned("b", "z")
}

// TestConfigJSON: what changes in the bundle of a running container replaces it; what is broken there leaves the last
// good one in force; what is mended is taken in. A bundle that comes late is found.
func TestConfigJSON(t *testing.T) {
	w := newWorld(t)
	w.start("--resync", "1h")
	late := filepath.Join(t.TempDir(), "some/where/bundle")
	w.manifest("late", late, "  stop: {gracePeriod: 0s}\n")
	w.told("late", "BundleInvalid")
	bundle := w.bundle(forever, runctest.BundleOptions{})
	w.manifest("web", bundle, "  stop: {gracePeriod: 0s}\n")
	w.manifest("twin", bundle, "  stop: {gracePeriod: 0s}\n")
	web, twin := w.running("web", 0), w.running("twin", 0)
	w.must(os.MkdirAll(filepath.Dir(late), 0o755))
	w.must(os.Rename(w.bundle(forever, runctest.BundleOptions{}), late))
	w.running("late", 0)

	config := filepath.Join(bundle, "config.json")
	good, err := os.ReadFile(config)
	w.must(err)
	edited := func(n int) []byte {
		return []byte(strings.Replace(string(good), "HOME=/tmp", fmt.Sprintf("HOME=/tmp/%d", n), 1))
	}
	for n, put := range []func(text []byte) error{
		func(text []byte) error { return os.WriteFile(config, text, 0o600) },
		func(text []byte) error {
			return errorsOf(os.WriteFile(config+"~", text, 0o600), os.Rename(config+"~", config))
		},
		func(text []byte) error {
			return errorsOf(os.WriteFile(config+".1", text, 0o600), os.Symlink("config.json.1", config+"~"), os.Rename(config+"~", config))
		},
	} {
		w.must(put(edited(n)))
		web, twin = w.running("web", web), w.running("twin", twin)
	}
	w.must(os.WriteFile(config, []byte("{"), 0o600))
	w.told("web", "BundleInvalid")
	w.told("twin", "BundleInvalid")
	w.undisturbed("web", web)
	w.restart() // the last good one is on record
	w.undisturbed("twin", twin)
	if c := w.get("web"); !strings.Contains(c.Status.Message, "config.json") {
		t.Errorf("the problem is not shown: %q", c.Status.Message)
	}
	w.must(os.WriteFile(config, edited(2), 0o600)) // as it was
	w.until("the problem is over", func() bool { return w.get("web").Status.Message == "" && w.get("twin").Status.Message == "" })
	w.undisturbed("web", web)
	w.must(os.WriteFile(config, edited(3), 0o600))
	w.running("web", web)
}

// TestTenThousandManifests dropped at once end in the right set, and meanwhile a container that dies is started again.
func TestTenThousandManifests(t *testing.T) {
	w, pid := web(t)
	bundle := w.broken(`{"process": {"args": ["true"], "cwd": "/"}, "root": {"path": "rootfs"}}`)
	const many = 10_000
	dropped := make(chan error, 1)
	go func() {
		for i := range many {
			text := fmt.Sprintf("apiVersion: reconciler/v1alpha1\nkind: Container\nmetadata: {name: c%d}\nspec: {bundle: %s, state: Stopped}\n", i, bundle)
			file := w.manifests(fmt.Sprintf("c%d.yaml", i))
			if err := errorsOf(os.WriteFile(file+".tmp", []byte(text), 0o600), os.Rename(file+".tmp", file)); err != nil {
				dropped <- err
				return
			}
		}
		dropped <- nil
	}()
	for restarts := 0; ; restarts++ {
		signalPID(t, pid, syscall.SIGKILL)
		pid = w.running("web", pid)
		if c := w.get(fmt.Sprintf("c%d", many-1)); c != nil && restarts > 0 {
			break
		}
	}
	w.must(<-dropped)
	w.until("all are there", func() bool { return len(strings.Fields(w.run("get", "-o", "name"))) == many+1 })
	w.settled()
}
