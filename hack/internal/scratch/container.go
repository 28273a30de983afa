package scratch

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"text/template"
	"time"
)

// Rootfs makes the root file system that all bundles of this world share: one static program, /program.
func (w *World) Rootfs(program string) error {
	for _, d := range []string{"proc", "dev", "out"} {
		if err := os.MkdirAll(w.Path("bundles", "rootfs", d), 0o755); err != nil {
			return err
		}
	}
	b, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	return os.WriteFile(w.Path("bundles", "rootfs", "program"), b, 0o755)
}

// BundleOptions says what is not like in all other bundles.
type BundleOptions struct {
	HostPID bool // share the host's pid namespace
	Memory  int  // limit in bytes; 0 for none
}

// Bundle makes bundles/<name>, whose process is /program with args. The world's out directory is /out there. Without a
// cgroup namespace, /proc/self/cgroup tells the process which instance it is.
func (w *World) Bundle(name string, o BundleOptions, args ...string) error {
	namespaces := []map[string]string{{"type": "mount"}, {"type": "ipc"}, {"type": "uts"}}
	if !o.HostPID {
		namespaces = append(namespaces, map[string]string{"type": "pid"})
	}
	config := map[string]any{
		"ociVersion": "1.0.2",
		"process": map[string]any{
			"args": append([]string{"/program"}, args...), "cwd": "/", "noNewPrivileges": true,
			"user": map[string]any{"uid": 0, "gid": 0},
		},
		"root": map[string]any{"path": "../rootfs", "readonly": true},
		"mounts": []map[string]any{
			{"destination": "/proc", "type": "proc", "source": "proc"},
			{"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": []string{"nosuid", "mode=755", "size=64k"}},
			{"destination": "/out", "type": "bind", "source": w.Path("out"), "options": []string{"bind", "rw"}},
		},
	}
	linux := map[string]any{"namespaces": namespaces}
	if o.Memory > 0 {
		linux["resources"] = map[string]any{"memory": map[string]any{"limit": o.Memory}}
	}
	config["linux"] = linux
	b, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		return err
	}
	dir := w.Path("bundles", name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return os.WriteFile(dir+"/config.json", b, 0o600)
}

// Manifest is one container's manifest. What is zero is left to the defaults.
type Manifest struct {
	Name    string
	Bundle  string // a name given to Bundle
	Policy  string
	Initial time.Duration // backoff: the first wait, the longest, and what resets it
	Max     time.Duration
	Reset   time.Duration
	Grace   time.Duration
	Env     string // the value of the variable EDIT: changing it is a change of the spec
}

var manifestForm = template.Must(template.New("").Parse(`---
apiVersion: reconciler/v1alpha1
kind: Container
metadata: {name: {{.Name}}}
spec:
  bundle: ../bundles/{{.Bundle}}
  restart:
    policy: {{.Policy}}
    backoff: {initial: {{.Initial}}, max: {{.Max}}, resetAfter: {{.Reset}}}
  stop: {gracePeriod: {{.Grace}}}
  process:
    env: {EDIT: "{{.Env}}"}
`))

// Put renames a manifest file with these containers into place: from this instant they are wanted.
func (w *World) Put(file string, containers ...Manifest) error {
	var b bytes.Buffer
	for _, c := range containers {
		if err := manifestForm.Execute(&b, c); err != nil {
			return err
		}
	}
	if err := os.WriteFile(w.Path("manifests", "."+file), b.Bytes(), 0o600); err != nil {
		return err
	}
	return os.Rename(w.Path("manifests", "."+file), w.Path("manifests", file))
}

// Remove removes a manifest file.
func (w *World) Remove(file string) error { return os.Remove(w.Path("manifests", file)) }

// Container is what `get -o json` says of one name, as far as it matters here.
type Container struct {
	Metadata struct{ Name string }
	Status   struct {
		Phase    string
		Instance string
		PID      int
	}
}

// Exit is what `exits -o json` says of one instance.
type Exit struct {
	Instance   string
	Attempt    int
	PID        int
	ExitCode   *int
	Signal     *int
	Source     string
	Reason     string
	StartedAt  time.Time
	FinishedAt time.Time
}

// Init is the living init of c, checked to be a process of that very instance.
func (w *World) Init(c Container) (Process, error) {
	p, err := Find(c.Status.PID)
	if err != nil {
		return p, err
	}
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", p.PID))
	if !strings.Contains(string(b), "/"+w.Parent+"/"+c.Status.Instance+"\n") || !p.Alive() {
		return p, ErrGone
	}
	return p, nil
}
