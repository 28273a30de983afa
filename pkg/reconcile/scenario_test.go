package reconcile

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"reconciler.dev/reconciler/pkg/desired"
	"reconciler.dev/reconciler/pkg/observed"
	"reconciler.dev/reconciler/pkg/store"
	"reconciler.dev/reconciler/pkg/subreaper"
)

var update = flag.Bool("update", false, "rewrite the expected lines of the scenarios")

// TestScenarios runs testdata/*.txt: lines with "> " are commands to the model, the others what they are to print.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scenarios", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(b))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if got != string(b) && !*update {
				t.Errorf("%s plays differently:\n%s", file, got)
			}
		})
	}
}

// play repeats the script with its expectations replaced by what happened.
func play(t *testing.T, script string) string {
	m := newModel()
	var out strings.Builder
	for line := range strings.Lines(script) {
		switch {
		case strings.HasPrefix(line, "> "):
			out.WriteString(line)
			command(t, m, strings.Fields(line)[1:], &out)
		case strings.HasPrefix(line, "#"), strings.TrimSpace(line) == "":
			out.WriteString(line)
		}
	}
	for _, f := range m.faults {
		t.Errorf("broken promise: %s", f)
	}
	return out.String()
}

func command(t *testing.T, m *model, f []string, out *strings.Builder) {
	show := func(a Action) { fmt.Fprintln(out, a) }
	arg := func(i int) string {
		if i >= len(f) {
			t.Fatalf("%v: too few words", f)
		}
		return f[i]
	}
	switch f[0] {
	case "desire": // desire NAME [key=value...]
		m.desire(arg(1), func(d *store.Desired) { edit(t, d, f[2:]) })
	case "undesire":
		delete(m.want, arg(1))
	case "plan": // what would be done now
		for _, a := range m.plan().Actions {
			show(a)
		}
	case "step": // one plan, carried out
		_, err := m.step(show)
		died(t, m, err, out)
	case "run": // until nothing acts
		for range 50 {
			acted, err := m.step(show)
			if died(t, m, err, out) || !acted {
				return
			}
		}
		t.Fatalf("it does not settle")
	case "exit": // exit INSTANCE CODE
		code, err := strconv.Atoi(arg(2))
		if err != nil {
			t.Fatal(err)
		}
		m.die(arg(1), syscall.WaitStatus(code<<8))
	case "kill": // kill INSTANCE: by somebody else
		m.die(arg(1), syscall.WaitStatus(syscall.SIGKILL))
	case "unseen": // its exit is not told yet
		m.procs[arg(1)].exit = nil
	case "lost": // nobody saw its exit
		p := m.procs[arg(1)]
		p.dead = true
		p.exit = &subreaper.Exit{Instance: arg(1), Process: p.process, Source: subreaper.SourceUnknown, Reason: arg(2), FinishedAt: m.now}
	case "orphaned": // guard and reaper died: not a child of theirs
		m.procs[arg(1)].ours = false
	case "stranger": // an instance that is not on record, and carries nothing of ours
		m.nextPID++
		m.procs[arg(1)] = &proc{process: m.process(), launch: true, started: true}
	case "restored": // an instance that an older store does not know of
		m.nextPID++
		m.procs[arg(1)] = &proc{process: m.process(), launch: true, ours: true, started: true, origin: &observed.Origin{InputHash: "h1", SpecHash: "h1", MadeAt: m.now}}
	case "forget": // the store is lost, as far as NAME goes
		delete(m.recs, arg(1))
		maps.DeleteFunc(m.exits, func(id string, _ store.Exit) bool { return strings.HasPrefix(id, arg(1)+".") })
	case "freeze": // by somebody else
		m.procs[arg(1)].frozen = true
	case "thaw":
		m.procs[arg(1)].frozen = false
	case "updated": // what the runtime was asked to change
		for _, u := range m.updated {
			fmt.Fprintln(out, u)
		}
	case "lostState": // the runtime knows nothing of it any more
		m.procs[arg(1)].lost = true
	case "ignores": // ignores NAME: no signal but KILL ends it
		m.ignores[arg(1)] = true
	case "blind": // blind INSTANCE [REASON...]: it cannot be observed
		m.blind[arg(1)] = strings.Join(f[2:], " ")
	case "unlisted": // unlisted [REASON...]
		m.unseen = strings.Join(f[1:], " ")
	case "fail": // fail VERB MESSAGE...: its next effect fails; "fail lost": a launch fails for good
		if f[1] == "spent" {
			m.fails["launch"] = &NotLaunched{errors.New(strings.Join(f[2:], " "))}
		} else if f[1] == "unfit" {
			m.fails["update"] = &Unfit{errors.New(strings.Join(f[2:], " "))}
		} else {
			m.fails[arg(1)] = errors.New(strings.Join(f[2:], " "))
		}
	case "die": // die N: the controller dies after N more commits and effects
		n, err := strconv.Atoi(arg(1))
		if err != nil {
			t.Fatal(err)
		}
		m.dies = n
	case "advance":
		d, err := time.ParseDuration(arg(1))
		if err != nil {
			t.Fatal(err)
		}
		m.now = m.now.Add(d)
	case "status":
		r, _ := m.Record(arg(1))
		s := StatusOf(m.want[arg(1)], m.look(), r, m.now)
		fmt.Fprintf(out, "%s attempt=%d restarts=%d message=%q", s.Phase, s.Attempt, s.RestartCount, s.Message)
		if reason := s.Conditions[0].Reason; reason != string(s.Phase) {
			fmt.Fprintf(out, " reason=%s", reason)
		}
		fmt.Fprintln(out)
	case "exits":
		for n := range m.recs[arg(1)].LastAttempt {
			if e, ok := m.exits[arg(1)+"."+strconv.Itoa(n+1)]; ok {
				fmt.Fprintf(out, "%s %s %s %s\n", e.Instance, exitWord(&e), e.Source, e.Reason)
			}
		}
	default:
		t.Fatalf("no command %q", f[0])
	}
}

func died(t *testing.T, m *model, err error, out *strings.Builder) bool {
	if err == nil {
		return false
	}
	if !errors.Is(err, errDied) {
		t.Fatal(err)
	}
	fmt.Fprintln(out, err)
	m.dies = -1
	return true
}

func edit(t *testing.T, d *store.Desired, settings []string) {
	for _, s := range settings {
		key, value, _ := strings.Cut(s, "=")
		duration := func() desired.Duration {
			v, err := time.ParseDuration(value)
			if err != nil {
				t.Fatal(err)
			}
			return desired.Duration(v)
		}
		spec := &d.Container.Spec
		switch key {
		case "policy":
			spec.Restart.Policy = desired.Policy(value)
		case "maxRetries":
			spec.Restart.MaxRetries, _ = strconv.Atoi(value)
		case "state":
			spec.State = desired.State(value)
		case "grace":
			spec.Stop.GracePeriod = duration()
		case "resetAfter":
			spec.Restart.Backoff.ResetAfter = duration()
		case "hash":
			d.InputHash = value
		case "resources":
			spec.Resources = json.RawMessage(value)
			if value == "" {
				spec.Resources = nil
			}
		case "override":
			d.Verbs.Override = &store.Override{State: desired.State(value)}
			if value == "" {
				d.Verbs.Override = nil
			}
		case "restarts":
			d.Verbs.Restarts, _ = strconv.ParseInt(value, 10, 64)
		case "private":
			d.Private = value == "true"
		case "bundle":
			d.Problem = value
			if value == "invalid" {
				d.Config, d.InputHash = nil, ""
			}
		default:
			t.Fatalf("no setting %q", key)
		}
	}
}
