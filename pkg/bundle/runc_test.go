package bundle

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"reconciler.dev/reconciler/internal/runctest"
)

// TestRuntimeTakesDerived creates a container from derived bundles, which are no directory below the user's.
func TestRuntimeTakesDerived(t *testing.T) {
	runctest.Require(t, runctest.Root, runctest.Runc, runctest.Busybox)
	t.Run("runc-spec", func(t *testing.T) {
		bundle := runctest.Bundle(t, runctest.BundleOptions{Args: []string{"true"}}) // for its root file system
		config, err := os.ReadFile("testdata/derive/runc-spec.json")
		if err != nil {
			t.Fatal(err)
		}
		createDerived(t, bundle, config, func(p *Params) { p.Process.Terminal = new(false) })
	})
	t.Run("podman", func(t *testing.T) {
		bundle := runctest.Bundle(t, runctest.BundleOptions{Args: []string{"sleep", "1000"}, Edit: likePodman})
		for name, text := range map[string]string{"hook": "#!/bin/sh\n>\"${0%/*}/hooked\"\n", "data/file": ""} {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(bundle, name)), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(bundle, name), []byte(text), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		config, err := Load(bundle)
		if err != nil {
			t.Fatal(err)
		}
		cgroup := createDerived(t, bundle, config, func(p *Params) {
			p.Resources = json.RawMessage(`{"memory": {"limit": 67108864}, "pids": null}`)
		})
		if _, err := os.Stat(filepath.Join(bundle, "hooked")); err != nil {
			t.Errorf("the bundle's own hook did not run: %v", err)
		}
		if cgroup.memory != "67108864" || cgroup.pids != "max" {
			t.Errorf("limits are memory %q and pids %q", cgroup.memory, cgroup.pids)
		}
	})
}

// likePodman has what podman's config.json has and every machine can do.
func likePodman(s *specs.Spec) {
	s.Hostname = "5c1d8a0f6b7e"
	s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Hard: 1024, Soft: 512}}
	s.Process.OOMScoreAdj = new(700)
	s.Annotations = map[string]string{"io.container.manager": "libpod", "org.opencontainers.image.stopSignal": "15"}
	s.Mounts = append(s.Mounts,
		specs.Mount{Destination: "/a", Type: "bind", Source: "data", Options: []string{"rbind", "ro", "rprivate"}},
		specs.Mount{Destination: "/b/file", Source: "./data/../data/file", Options: []string{"bind"}})
	s.Hooks = &specs.Hooks{CreateRuntime: []specs.Hook{{Path: "hook"}}}
	s.Linux.CgroupsPath = "machine.slice:libpod:5c1d8a0f6b7e"
	s.Linux.MaskedPaths = []string{"/proc/kcore", "/sys/firmware"}
	s.Linux.ReadonlyPaths = []string{"/proc/sys"}
	s.Linux.Resources = &specs.LinuxResources{
		Memory: &specs.LinuxMemory{Limit: new(int64(9223372036854771712))}, Pids: &specs.LinuxPids{Limit: new(int64(7))},
	}
	s.Linux.Seccomp = &specs.LinuxSeccomp{
		DefaultAction: specs.ActAllow,
		Syscalls:      []specs.LinuxSyscall{{Names: []string{"kexec_load"}, Action: specs.ActErrno}},
	}
}

type limits struct{ memory, pids string }

// createDerived creates a container, looks at its state and its cgroup's limits, and deletes it.
func createDerived(t *testing.T, bundle string, config []byte, adapt func(*Params)) limits {
	t.Helper()
	cgroup := runctest.CgroupParent(t) + "/web.3"
	p := params()
	p.Bundle, p.CgroupPath, p.OOMScoreAdj = bundle, cgroup, 700
	adapt(&p)
	derived, _, err := Derive(config, p)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.json"), derived, 0o600); err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	log := filepath.Join(root, "log")
	runc := func(args ...string) *exec.Cmd {
		return exec.Command(runctest.RuncPath(t), append([]string{"--root", root, "--log", log}, args...)...)
	}
	if err := runc("create", "--bundle", dir, "web.3").Run(); err != nil { // no pipe: the container would hold it
		told, _ := os.ReadFile(log)
		t.Fatalf("create: %v: %s", err, told)
	}
	defer func() {
		if out, err := runc("delete", "--force", "web.3").CombinedOutput(); err != nil {
			t.Errorf("delete: %v: %s", err, out)
		}
	}()
	out, err := runc("state", "web.3").Output()
	if err != nil {
		t.Fatal(err)
	}
	var state struct {
		Status, Rootfs string
		Annotations    map[string]string
	}
	if err := json.Unmarshal(out, &state); err != nil {
		t.Fatal(err)
	}
	rootfs := filepath.Join(bundle, "rootfs")
	if state.Status != "created" || state.Rootfs != rootfs || state.Annotations[AnnotationInstance] != "web.3" {
		t.Errorf("state %+v", state)
	}
	return limits{
		memory: limit(t, cgroup, "memory.limit_in_bytes", "memory.max"),
		pids:   limit(t, cgroup, "pids.max", "pids.max"),
	}
}

// limit reads a file of a cgroup, by its name in version 1 or 2.
func limit(t *testing.T, cgroup, v1, v2 string) string {
	t.Helper()
	for _, pattern := range []string{"/sys/fs/cgroup/*" + cgroup + "/" + v1, "/sys/fs/cgroup" + cgroup + "/" + v2} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			return strings.TrimSpace(string(text))
		}
	}
	return ""
}
