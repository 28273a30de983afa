package runctest

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// BundleOptions says what a test's container is like. Only Args is required.
type BundleOptions struct {
	Args             []string // run by busybox: applets need no path; []string{"sh", "-c", ...}
	HostPID          bool     // share the runtime's pid namespace: no pid entry
	PIDNamespacePath string   // join the pid namespace at this path
	OutDir           string   // a directory of the host, writable at /out
	Hooks            *specs.Hooks
	CgroupsPath      string            // absolute: below CgroupParent
	Edit             func(*specs.Spec) // the last word on the spec
}

// Bundle makes a bundle with busybox as its root filesystem in a directory of the test's own and returns its path. The
// container shares the host's network and has no terminal and no capabilities.
func Bundle(t testing.TB, o BundleOptions) string {
	t.Helper()
	Require(t, Root, Busybox)
	bundle := t.TempDir()
	rootfs := filepath.Join(bundle, "rootfs")
	for _, dir := range []string{"bin", "proc", "dev", "sys", "tmp", "out"} {
		if err := os.MkdirAll(filepath.Join(rootfs, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := copyFile(filepath.Join(rootfs, "bin/busybox"), busybox); err != nil {
		t.Fatal(err)
	}
	for _, applet := range []string{"sh", "sleep", "true", "false", "cat", "echo", "kill", "tail"} {
		if err := os.Symlink("busybox", filepath.Join(rootfs, "bin", applet)); err != nil {
			t.Fatal(err)
		}
	}
	config, err := json.MarshalIndent(spec(o), "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(bundle, "config.json"), config, 0o600); err != nil {
		t.Fatal(err)
	}
	return bundle
}

func copyFile(to, from string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(dst, src); err != nil {
		dst.Close()
		return err
	}
	return dst.Close()
}

func spec(o BundleOptions) *specs.Spec {
	s := &specs.Spec{
		Version: "1.0.2", // all runtimes in use know it
		Root:    &specs.Root{Path: "rootfs"},
		Process: &specs.Process{
			Args:            o.Args,
			Env:             []string{"PATH=/bin", "HOME=/tmp"},
			Cwd:             "/",
			NoNewPrivileges: true,
		},
		Mounts: []specs.Mount{
			{Destination: "/proc", Type: "proc", Source: "proc"},
			{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "mode=755", "size=64k"}},
		},
		Hooks: o.Hooks,
		Linux: &specs.Linux{
			CgroupsPath: o.CgroupsPath,
			Namespaces:  []specs.LinuxNamespace{{Type: specs.MountNamespace}, {Type: specs.IPCNamespace}, {Type: specs.UTSNamespace}},
		},
	}
	if !o.HostPID {
		s.Linux.Namespaces = append(s.Linux.Namespaces,
			specs.LinuxNamespace{Type: specs.PIDNamespace, Path: o.PIDNamespacePath})
	}
	if o.OutDir != "" {
		s.Mounts = append(s.Mounts,
			specs.Mount{Destination: "/out", Type: "bind", Source: o.OutDir, Options: []string{"bind", "rw"}})
	}
	if o.Edit != nil {
		o.Edit(s)
	}
	return s
}
