package runc

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"reconciler.dev/reconciler/internal/runctest"
)

func TestMain(m *testing.M) {
	if err := SetSubreaper(); err != nil {
		panic(err)
	}
	runctest.Main(m)
}

func TestValidateID(t *testing.T) {
	for _, id := range []string{"a", "web.1", "_x", "A-b+c_d.9", strings.Repeat("a", 128)} {
		if err := ValidateID(id); err != nil {
			t.Errorf("%q: %v", id, err)
		}
	}
	for _, id := range []string{"", ".", "..", ".a", "-a", "+a", "a/b", "a b", "a\x00", "a\n", "é", strings.Repeat("a", 129)} {
		if err := ValidateID(id); !errors.Is(err, ErrInvalidID) {
			t.Errorf("%q: %v", id, err)
		}
	}
}

func TestOneLine(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                         "plain",
		"a\nERROR forged\r\x1b[31m":     "a ERROR forged  [31m",
		"bad \xff utf-8":                "bad ? utf-8",
		"\u202eright to left":           "right to left",
		strings.Repeat("x", 2000):       strings.Repeat("x", 1024) + "...",
		"ends in the middle of a rune ": "ends in the middle of a rune",
	} {
		if got := oneLine(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestErrorPrintsAsOneLine(t *testing.T) {
	e := &Error{Runtime: "runc", Op: "create", ID: "web.1", ExitStatus: ExitStatus{Code: 1}, Message: "two\nlines", Err: ErrExist}
	if got, want := e.Error(), "runc create web.1: container exists already: two lines (exit status 1)"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestExitStatus(t *testing.T) {
	for _, c := range []struct {
		raw   syscall.WaitStatus
		want  ExitStatus
		shell int
		text  string
	}{
		{0, ExitStatus{}, 0, "exit status 0"},
		{7 << 8, ExitStatus{Code: 7}, 7, "exit status 7"},
		{137 << 8, ExitStatus{Code: 137}, 137, "exit status 137"},
		{9, ExitStatus{Signal: 9}, 137, "signal 9"},
		{11 | 0x80, ExitStatus{Signal: 11, CoreDumped: true}, 139, "signal 11, core dumped"},
	} {
		got := exitStatus(c.raw)
		if got != c.want || got.Shell() != c.shell || got.String() != c.text {
			t.Errorf("%#x: %+v, shell %d, %q", c.raw, got, got.Shell(), got)
		}
	}
}

func TestLastError(t *testing.T) {
	for log, want := range map[string]string{
		"":                                      "",
		"panic: oops\ngoroutine 1 [running]:\n": "",
		`{"level":"warning","msg":"w"}`:         "",
		`{"level":"error","msg":"first"}` + "\n" + `{"level":"error","msg":"last"}` + "\n" + `{"level":"info","msg":"i"}` + "\n": "last",
		`{"level":"error","msg":"whole"}` + "\n" + `{"level":"error","ms`:                                                        "whole",
		`cut","level":"error"}` + "\n" + `{"msg":"crun's order","level":"error"}`:                                                "crun's order",
	} {
		if got := lastError(log); got != want {
			t.Errorf("%q: %q, want %q", log, got, want)
		}
	}
}

func TestReadEnd(t *testing.T) {
	dir := t.TempDir()
	long := filepath.Join(dir, "long")
	text := strings.Repeat("x", 100) + strings.Repeat("y", maxLog)
	if err := os.WriteFile(long, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := readEnd(long); err != nil || got != text[100:] {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	link, fifo := filepath.Join(dir, "link"), filepath.Join(dir, "fifo")
	if err := errors.Join(os.Symlink(long, link), unix.Mkfifo(fifo, 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{link, fifo, dir, filepath.Join(dir, "missing")} {
		if got, err := readEnd(path); err == nil {
			t.Errorf("%s was read: %q", path, got)
		}
	}
}

func TestEnvironment(t *testing.T) {
	got := environment([]string{"PATH=/bin", "LISTEN_FDS=1", "LISTEN_PID=2", "LISTEN_FDNAMES=x", "NOTIFY_SOCKET=/s", "LISTEN_FDS_X=kept"})
	if want := []string{"PATH=/bin", "LISTEN_FDS_X=kept"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestOwnsPIDNamespace(t *testing.T) {
	with := func(ns ...specs.LinuxNamespace) *specs.Spec { return &specs.Spec{Linux: &specs.Linux{Namespaces: ns}} }
	for _, c := range []struct {
		name string
		spec *specs.Spec
		want bool
	}{
		{"no linux section", &specs.Spec{}, false},
		{"no entry", with(specs.LinuxNamespace{Type: specs.MountNamespace}), false},
		{"entry", with(specs.LinuxNamespace{Type: specs.MountNamespace}, specs.LinuxNamespace{Type: specs.PIDNamespace}), true},
		{"entry with path", with(specs.LinuxNamespace{Type: specs.PIDNamespace, Path: "/proc/1/ns/pid"}), false},
	} {
		if got := OwnsPIDNamespace(c.spec); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestLoadSpecTellsWhatIsWrong(t *testing.T) {
	good := `{"root":{"path":"rootfs"},"process":{"args":["x"],"cwd":"/"}}`
	for text, want := range map[string]string{
		"":                                     "config.json:1: unexpected end of JSON input",
		"{\n\"root\": {":                       "config.json:2: unexpected end of JSON input",
		"{\n\n\"root\": 7}":                    "config.json:3: json: cannot unmarshal number",
		`{"process":{"args":["x"]}`:            "config.json:1: ",
		`{"process":{"args":["x"],"cwd":"/"}}`: "config.json: root: missing",
		`{"root":{"path":"rootfs"}}`:           "config.json: process: missing",
		`{"root":{},"process":{"args":["x"],"cwd":"/"}}`:                       "config.json: root.path: missing",
		`{"root":{"path":"rootfs"},"process":{"cwd":"/"}}`:                     "config.json: process.args: missing",
		`{"root":{"path":"rootfs"},"process":{"args":["x"]}}`:                  "config.json: process.cwd: missing",
		`{"root":{"path":"rootfs"},"process":{"args":"sh","cwd":"/"},"x":"y"}`: "config.json:1: json: cannot unmarshal string into",
	} {
		bundle := t.TempDir()
		if err := os.WriteFile(filepath.Join(bundle, "config.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := loadSpec(bundle); !errors.Is(err, ErrBundle) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	bundle := t.TempDir()
	if _, err := loadSpec(bundle); !errors.Is(err, ErrBundle) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
	if err := unix.Mkfifo(filepath.Join(bundle, "config.json"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := loadSpec(bundle); !errors.Is(err, ErrBundle) || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("fifo: %v", err)
	}
	bundle = t.TempDir()
	if err := os.WriteFile(filepath.Join(bundle, "config.json"), []byte(good), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := loadSpec(bundle); err != nil || rootfs(bundle, s) != bundle+"/rootfs" {
		t.Errorf("good: %v", err)
	}
}

func TestParseStat(t *testing.T) {
	const rest = "1 1 1 0 -1 4194304 0 0 0 0 0 0 0 0 20 0 1 0 4711 0 0"
	for text, want := range map[string]stat{
		"12 (sh) S " + rest + "\n":       {'S', 4711},
		"12 (a) R (b) Z " + rest:         {'Z', 4711},
		"12 (x) S 1 2 3\n) D " + rest:    {'D', 4711},
		"12 (sh) S 1 1 1 0 -1 4194304":   {},
		"12 (sh) Sleeping " + rest:       {},
		"":                               {},
		"12 (sh) S " + rest[:40] + " -1": {},
		")":                              {},
	} {
		got, err := parseStat([]byte(text))
		if got != want || (err != nil) != (want == stat{}) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

func TestCommandLine(t *testing.T) {
	cmd := exec.Command("sleep", "600")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := cmd.Process.Pid
	var got []string
	var err error
	for deadline := time.Now().Add(long); len(got) == 0 && err == nil && time.Now().Before(deadline); {
		got, err = CommandLine(pid) // none in the middle of execve, where Start returns already
	}
	if err != nil || !slices.Equal(got, []string{"sleep", "600"}) {
		t.Errorf("%q, %v", got, err)
	}
	if p, err := inspect(pid); err != nil || p.PID != pid || p.StartTime == 0 || p.Zombie {
		t.Errorf("%+v, %v", p, err)
	}
	cmd.Process.Kill()
	if err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	if p, err := inspect(pid); err != nil || !p.Zombie || len(p.Command) != 0 {
		t.Errorf("of a zombie: %+v, %v", p, err)
	}
	cmd.Wait()
	if _, err := CommandLine(pid); !vanished(err) {
		t.Errorf("of nobody: %v", err)
	}
}

func TestOpenRefusesThePIDsNextOwner(t *testing.T) {
	runctest.Require(t, runctest.Pidfd)
	self, err := identify(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	h, err := open(self)
	if err != nil {
		t.Fatal(err)
	}
	h.Close()
	self.StartTime--
	if _, err := open(self); !errors.Is(err, ErrNotChild) {
		t.Errorf("%v", err)
	}
}
