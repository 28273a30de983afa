package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const installed = "/usr/local/bin/"

// unit is the settings of a unit file, as "Section.Key=value" in their order.
func unit(t *testing.T, name string) (settings []string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(top, "examples", "systemd", name))
	if err != nil {
		t.Fatal(err)
	}
	section := ""
	for i, line := range strings.Split(strings.TrimSuffix(string(b), "\n"), "\n") {
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '[':
			section = strings.Trim(line, "[]")
		case regexp.MustCompile(`^[A-Z][A-Za-z]+=[^ ]`).MatchString(line):
			settings = append(settings, section+"."+line)
		default:
			t.Errorf("%s:%d: %q is no setting", name, i+1, line)
		}
	}
	return settings
}

// knownKeys are those of systemd.unit(5), systemd.service(5), systemd.exec(5) and its kin that the units use: a machine
// without systemd finds a slip in one, too.
var knownKeys = strings.Fields(`Unit.Description Unit.After Unit.Wants Unit.RequiresMountsFor Unit.StartLimitIntervalSec
	Service.Type Service.ExecStart Service.ExecStop Service.KillMode Service.SuccessExitStatus Service.Restart
	Service.RestartPreventExitStatus Service.RestartSec Service.RemainAfterExit Service.TimeoutStopSec Service.Delegate
	Service.TasksMax Service.OOMScoreAdjust Install.WantedBy`)

var units = map[string][]string{
	// What each must say: without it a promise is broken, though systemd has nothing to object.
	"reconciler.service": {
		"Service.KillMode=process",           // else a stop ends the pair, and exits are lost
		"Service.SuccessExitStatus=143",      // how it ends by SIGTERM
		"Service.Restart=always",             // after SIGKILL, too
		"Service.RestartPreventExitStatus=0", // else down --exit is a restart of all containers
		"Unit.StartLimitIntervalSec=0",       // else some crashes in a row are the end
		"Service.ExecStart=" + installed + "reconciler run",
	},
	"reconciler-shutdown.service": {
		"Unit.After=reconciler.service", // stopped before it
		"Service.Type=oneshot", "Service.RemainAfterExit=yes",
		"Service.ExecStop=" + installed + "reconciler down --reason shutdown",
		"Service.ExecStart=-" + installed + "reconciler up --reason shutdown", // of the very reason, and no failure
	},
}

func TestUnits(t *testing.T) {
	bin := filepath.Join(world(t), "bin")
	files, err := filepath.Glob(filepath.Join(top, "examples", "systemd", "*"))
	if err != nil || len(files) != len(units) {
		t.Errorf("%q, %v; known are %d", files, err, len(units))
	}
	for name, must := range units {
		settings := unit(t, name)
		for _, s := range must {
			if !slices.Contains(settings, s) {
				t.Errorf("%s lacks %s", name, s)
			}
		}
		for _, s := range settings {
			key, value, _ := strings.Cut(s, "=")
			if !slices.Contains(knownKeys, key) {
				t.Errorf("%s: unknown key %s", name, key)
			}
			if strings.HasPrefix(key, "Service.Exec") {
				understood(t, bin, name, strings.TrimPrefix(value, "-"))
			}
		}
	}
	verified(t, bin)
}

// understood has the program read a command line, and do nothing but tell its help.
func understood(t *testing.T, bin, unit, command string) {
	t.Helper()
	args := append(strings.Fields(strings.TrimPrefix(command, installed)), "--help")
	if out, err := exec.Command(filepath.Join(bin, args[0]), args[1:]...).CombinedOutput(); err != nil {
		t.Errorf("%s: %s: %v: %s", unit, command, err, out)
	}
}

// verified asks systemd, where there is one, what it has to say of the units. It looks for the programs of each command.
func verified(t *testing.T, bin string) {
	t.Helper()
	verify, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Logf("the keys and command lines are checked, but by no systemd: %v", err)
		return
	}
	dir := t.TempDir()
	args := []string{"verify"}
	for name := range units {
		b, err := os.ReadFile(filepath.Join(top, "examples", "systemd", name))
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(strings.ReplaceAll(string(b), installed, bin+"/")), 0o644); err != nil {
			t.Fatal(err)
		}
		args = append(args, file)
	}
	out, _ := exec.Command(verify, args...).CombinedOutput() // its status tells of no unknown key
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "reconciler") { // the machine's own units are not ours to judge
			t.Errorf("systemd-analyze verify: %s", line)
		}
	}
}
