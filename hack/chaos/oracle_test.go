package main

import (
	"strings"
	"testing"
	"time"

	"reconciler.dev/reconciler/hack/internal/scratch"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// record is an exit that ran from noon for a second; signal 0 means the exit code counts.
func record(id string, code, signal int) scratch.Exit {
	r := scratch.Exit{Instance: id, PID: 7, Signal: &signal, Source: "waitid", StartedAt: noon, FinishedAt: noon.Add(time.Second)}
	if signal == 0 {
		r.ExitCode = &code
	}
	return r
}

func unknown(id string) scratch.Exit {
	r := record(id, 0, 9)
	r.Signal, r.Source = nil, "unknown"
	return r
}

func records(all ...scratch.Exit) map[string][]scratch.Exit {
	m := map[string][]scratch.Exit{}
	for _, r := range all {
		m[r.Instance] = append(m[r.Instance], r)
	}
	return m
}

func within(n time.Duration) time.Time { return noon.Add(n * time.Millisecond) }

func TestOracle(t *testing.T) {
	killed := []kill{{victim: initVictim, instance: "a.1", at: within(500)}}
	asked := []ask{{"a", within(500)}}
	tests := []struct {
		name string
		e    evidence
		want string // part of the complaint; empty for none
	}{
		{"an exit as told", evidence{log: "start a.1\nexit a.1 code 3\n", records: records(record("a.1", 3, 0))}, ""},
		{"a signal as told", evidence{log: "start a.1\nexit a.1 signal 10\n", records: records(record("a.1", 0, 10))}, ""},
		{"killed by us", evidence{log: "start a.1\n", records: records(record("a.1", 0, 9)), kills: killed}, ""},
		{"killed by us after its last words",
			evidence{log: "start a.1\nexit a.1 code 3\n", records: records(record("a.1", 0, 9)), kills: killed}, ""},
		{"killed by us before its first instruction", evidence{records: records(record("a.1", 0, 9)), kills: killed}, ""},
		{"stopped when asked",
			evidence{log: "start a.1\nterm a.1\nexit a.1 code 0\n", records: records(record("a.1", 0, 0)), asks: asked}, ""},
		{"killed when its grace was over", evidence{log: "start a.1\n", records: records(record("a.1", 0, 9)), asks: asked}, ""},
		{"unknown that became known", evidence{log: "start a.1\nexit a.1 code 3\n",
			records: records(unknown("a.1"), record("a.1", 3, 0))}, ""},
		{"unknown after two losses on an old kernel", evidence{log: "start a.1\n", records: records(unknown("a.1")),
			kills: []kill{{victim: guardVictim, at: within(1)}, {victim: reaperVictim, at: within(2)}}}, ""},

		{"a lost exit", evidence{log: "start a.1\n"}, "no exit record"},
		{"a doubled start", evidence{log: "start a.1\nstart a.1\nexit a.1 code 3\n", records: records(record("a.1", 3, 0))}, "2 starts"},
		{"a doubled exit", evidence{log: "start a.1\nexit a.1 code 3\n",
			records: records(record("a.1", 3, 0), record("a.1", 3, 0))}, "changed"},
		{"a changed exit", evidence{log: "start a.1\nexit a.1 code 3\n",
			records: records(record("a.1", 4, 0), record("a.1", 3, 0))}, "changed"},
		{"a wrong code", evidence{log: "start a.1\nexit a.1 code 3\n", records: records(record("a.1", 4, 0))}, "it said"},
		{"a code for a signal", evidence{log: "start a.1\nexit a.1 signal 10\n", records: records(record("a.1", 138, 0))}, "it said"},
		{"an invented code", evidence{log: "start a.1\n", records: records(record("a.1", 0, 0))}, "never said"},
		{"an invented exit", evidence{records: records(record("a.1", 0, 9))}, "nobody killed it"},
		{"a kill that was not ours", evidence{log: "start a.1\n", records: records(record("a.1", 0, 9))}, "nobody killed it"},
		{"a stop that nobody asked for",
			evidence{log: "start a.1\nterm a.1\nexit a.1 code 0\n", records: records(record("a.1", 0, 0))}, "nobody killed it"},
		{"a stop after which nobody asked",
			evidence{log: "start a.1\n", records: records(record("a.1", 0, 9)), asks: []ask{{"a", within(1500)}}}, "nobody killed it"},
		{"one wish for two ends", evidence{log: "start a.1\nstart a.2\n",
			records: records(record("a.1", 0, 9), record("a.2", 0, 9)), asks: asked}, "nobody killed it"},
		{"a wish for another name",
			evidence{log: "start a.1\n", records: records(record("a.1", 0, 9)), asks: []ask{{"b", within(500)}}}, "nobody killed it"},
		{"a twin", evidence{log: "start a.1\ntwin a.1\nexit a.1 code 3\n", records: records(record("a.1", 3, 0))}, "alive"},
		{"unknown after one loss", evidence{log: "start a.1\n", records: records(unknown("a.1")),
			kills: []kill{{victim: guardVictim, at: within(1)}}}, "without a second loss"},
		{"unknown on a kernel that tells", evidence{log: "start a.1\n", records: records(unknown("a.1")), tellsReaped: true,
			kills: []kill{{victim: guardVictim, at: within(1)}, {victim: reaperVictim, at: within(2)}}}, "kernel that tells"},
		{"a torn line", evidence{log: "start a.1\nex\nexit a.1 code 3\n", records: records(record("a.1", 3, 0))}, "torn"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			broken := strings.Join(judge(tt.e), "\n")
			if tt.want == "" && broken != "" || !strings.Contains(broken, tt.want) {
				t.Errorf("judge says %q, want %q", broken, tt.want)
			}
		})
	}
}
