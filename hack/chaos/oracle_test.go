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
	killed := []kill{{initVictim, "a.1", within(500)}}
	asked := []ask{{"a", within(500)}}
	losses := []kill{{guardVictim, "", within(1)}, {reaperVictim, "", within(2)}}
	open, over := []window{{from: noon}}, []window{{from: within(-9000), to: noon}}
	three, nine := record("a.1", 3, 0), record("a.1", 0, 9)
	again := three
	again.Source, again.FinishedAt = "procstat", within(1001)
	tests := []struct {
		name string
		log  string // what the containers wrote; all of them are over
		e    evidence
		want class // of the complaint; empty for none
		says string
	}{
		{"an exit as told", "start a.1\nexit a.1 code 3\n", evidence{records: records(three)}, "", ""},
		{"a signal as told", "start a.1\nexit a.1 signal 10\n", evidence{records: records(record("a.1", 0, 10))}, "", ""},
		{"killed by us", "start a.1\n", evidence{records: records(nine), kills: killed}, "", ""},
		{"killed by us after its last words", "start a.1\nexit a.1 code 3\n", evidence{records: records(nine), kills: killed}, "", ""},
		{"killed by us before its first instruction", "", evidence{records: records(nine), kills: killed}, "", ""},
		{"stopped when asked", "start a.1\nterm a.1\nexit a.1 code 0\n", evidence{records: records(record("a.1", 0, 0)), asks: asked}, "", ""},
		{"killed when its grace was over", "start a.1\n", evidence{records: records(nine), asks: asked}, "", ""},
		{"stopped before it listened", "start a.1\n", evidence{records: records(record("a.1", 2, 0)), asks: asked}, "", ""},
		{"unknown that became known", "start a.1\nexit a.1 code 3\n", evidence{records: records(unknown("a.1"), three)}, "", ""},
		{"unknown after two losses on an old kernel", "start a.1\n", evidence{records: records(unknown("a.1")), kills: losses}, "", ""},
		{"unknown while nobody was there", "start a.1\n", evidence{records: records(unknown("a.1")), blind: open, tells: true}, "", ""},
		{"known, then lost with the store", "start a.1\nexit a.1 code 3\n", evidence{records: records(three, unknown("a.1")), blind: open}, "", ""},
		{"told once more after the store was lost", "start a.1\nexit a.1 code 3\n", evidence{records: records(three, again), blind: open}, "", ""},

		{"told once more for no reason", "start a.1\nexit a.1 code 3\n", evidence{records: records(three, again), blind: over}, doubled, "changed"},
		{"a lost exit", "start a.1\n", evidence{}, lost, "no exit record"},
		{"a doubled start", "start a.1\nstart a.1\nexit a.1 code 3\n", evidence{records: records(three)}, doubled, "2 starts"},
		{"a doubled exit", "start a.1\nexit a.1 code 3\n", evidence{records: records(three), twice: []string{"a.1"}}, doubled, "two records"},
		{"a changed exit", "start a.1\nexit a.1 code 3\n", evidence{records: records(record("a.1", 4, 0), three)}, doubled, "changed"},
		{"a changed exit of a lost store", "start a.1\nexit a.1 code 3\n", evidence{records: records(record("a.1", 4, 0), three), blind: open}, doubled, "changed"},
		{"a known exit forgotten", "start a.1\nexit a.1 code 3\n", evidence{records: records(three, unknown("a.1")), blind: over}, doubled, "changed"},
		{"a twin", "start a.1\ntwin a.1\nexit a.1 code 3\n", evidence{records: records(three)}, doubled, "alive"},
		{"a wrong code", "start a.1\nexit a.1 code 3\n", evidence{records: records(record("a.1", 4, 0))}, wrong, "it said"},
		{"a code for a signal", "start a.1\nexit a.1 signal 10\n", evidence{records: records(record("a.1", 138, 0))}, wrong, "it said"},
		{"an invented code", "start a.1\n", evidence{records: records(record("a.1", 0, 0))}, wrong, "never said"},
		{"an invented exit", "", evidence{records: records(nine)}, wrong, "nobody killed it"},
		{"a kill that was not ours", "start a.1\n", evidence{records: records(nine)}, wrong, "nobody killed it"},
		{"a stop that nobody asked for", "start a.1\nterm a.1\nexit a.1 code 0\n", evidence{records: records(record("a.1", 0, 0))}, wrong, "nobody killed it"},
		{"a stop after which nobody asked", "start a.1\n", evidence{records: records(nine), asks: []ask{{"a", within(1500)}}}, wrong, "nobody killed it"},
		{"one wish for two ends", "start a.1\nstart a.2\n", evidence{records: records(nine, record("a.2", 0, 9)), asks: asked}, wrong, "nobody killed it"},
		{"a wish for another name", "start a.1\n", evidence{records: records(nine), asks: []ask{{"b", within(500)}}}, wrong, "nobody killed it"},
		{"stopped before it listened by nobody", "start a.1\n", evidence{records: records(record("a.1", 2, 0))}, wrong, "nobody killed it"},
		{"unknown after one loss", "start a.1\n", evidence{records: records(unknown("a.1")), kills: losses[:1]}, wrong, "without a second loss"},
		{"unknown on a kernel that tells", "start a.1\n", evidence{records: records(unknown("a.1")), kills: losses, tells: true}, wrong, "kernel that tells"},
		{"unknown after somebody was back", "start a.1\n", evidence{records: records(unknown("a.1")), blind: over, tells: true}, wrong, "kernel that tells"},
		{"a torn line", "start a.1\nex\nexit a.1 code 3\n", evidence{records: records(three)}, other, "torn"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var b book
			b.take(tt.log)
			tt.e.lives, tt.e.torn, tt.e.due = b.lives, b.torn, map[string]bool{}
			for id := range b.lives {
				tt.e.due[id] = true
			}
			broken := judge(tt.e)
			if tt.want == "" {
				if len(broken) > 0 {
					t.Errorf("judge says %v", broken)
				}
				return
			}
			if len(broken) != 1 || broken[0].class != tt.want || !strings.Contains(broken[0].text, tt.says) {
				t.Errorf("judge says %v, want one that is %s: %q", broken, tt.want, tt.says)
			}
		})
	}
}

// No record is due of what still lives.
func TestOracleWaitsForTheLiving(t *testing.T) {
	var b book
	b.take("start a.1\n")
	if broken := judge(evidence{lives: b.lives}); len(broken) > 0 {
		t.Errorf("judge says %v", broken)
	}
}

// What the recorder is shown over time: the same again is the same, another word is another version, and two at once are
// two.
func TestRecorder(t *testing.T) {
	var r recorder
	first, second := record("a.1", 3, 0), record("a.1", 4, 0)
	r.add([]scratch.Exit{first})
	r.add([]scratch.Exit{first})
	if n := len(r.seen["a.1"]); n != 1 || len(r.doubled) > 0 {
		t.Errorf("%d versions, doubled %v", n, r.doubled)
	}
	r.add([]scratch.Exit{second})
	r.add([]scratch.Exit{second, second})
	if n := len(r.seen["a.1"]); n != 2 || len(r.doubled) != 1 {
		t.Errorf("%d versions, doubled %v", n, r.doubled)
	}
}
