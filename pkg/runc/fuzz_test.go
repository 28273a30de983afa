package runc

import (
	"errors"
	"strings"
	"testing"
	"unicode"
)

// What runc 1.1.5 and crun 1.8.1 say.
const (
	runcList  = `[{"ociVersion":"1.0.2","id":"web.1","pid":42,"status":"running","bundle":"/b","rootfs":"/b/rootfs","created":"2026-01-02T03:04:05.6Z","annotations":{"a":"b"},"owner":""}]`
	crunList  = `[{"id" : "web.1", "pid" : 0, "status" : "stopped", "bundle" : "/b", "created" : "2026-01-02T03:04:05.678901Z", "owner" : ""}]`
	crunState = `{"ociVersion": "1.0.0", "id": "web.1", "pid": 42, "status": "created", "bundle": "/b", "rootfs": "/b/rootfs", "created": "2026-01-02T03:04:05.678901Z", "owner": "", "annotations": {}}`
)

// Whatever a runtime says is unintelligible, or states that can be acted on.
func FuzzStates(f *testing.F) {
	for _, s := range []string{
		runcList, crunList, crunState, "null", "[ ]", "", "[null]", `[{}]`, `{"id":"web.1"}`, "panic: runtime error\n\ngoroutine 1", `[{"id":"a","pid":-1,"status":"running"}]`,
	} {
		f.Add([]byte(s))
	}
	r := &Runtime{path: "/usr/bin/runc", root: "/run/runc"}
	f.Fuzz(func(t *testing.T, out []byte) {
		states, err := r.parseList(out)
		if state, stateErr := r.parseState("web.1", out); stateErr == nil {
			if state.ID != "web.1" {
				t.Errorf("the state of %q", state.ID)
			}
			states = append(states, state)
		} else if err != nil {
			err = errors.Join(err, stateErr)
		}
		for _, s := range states {
			if s.ID == "" || s.Status == "" || s.PID < 0 || s.PID == 0 && s.Status != Stopped && s.Status != Creating {
				t.Errorf("%+v", s)
			}
		}
		if err != nil {
			oneLinePrinted(t, err)
			if !errors.Is(err, ErrBadOutput) {
				t.Errorf("%v", err)
			}
		}
	})
}

// Whatever stands in a runtime's log and on its standard error: an error of one printable line.
func FuzzLog(f *testing.F) {
	for _, s := range []string{
		`{"level":"error","msg":"container does not exist","time":"2026-01-02T03:04:05Z"}`, `{"level":"error","msg":"a\nb\u001b[31m"`, "null", "",
		`{"level":"warning","msg":"x"}` + "\n" + `{"level":"fatal","msg":"y"}`, "plain text\n", `{"msg":7,"level":"error"}`,
	} {
		f.Add(s, "web.1")
	}
	f.Fuzz(func(t *testing.T, log, id string) {
		e := &Error{Runtime: "runc", Op: "start", ID: id, ExitStatus: ExitStatus{Code: 1}, Message: lastError(log) + lastLine(log)}
		e.Err = classify("/run/runc", id, e.Message)
		oneLinePrinted(t, e)
	})
}

func oneLinePrinted(t *testing.T, err error) {
	t.Helper()
	for line := range strings.SplitSeq(err.Error(), "\n") { // of joined errors
		if strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q", line)
		}
	}
}

// A process may call itself what it likes.
func FuzzStat(f *testing.F) {
	f.Add("42 (a) R (b) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20 21", "x")
	f.Add("", ")")
	f.Add("1 (", ") Z 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 99999999999999999999")
	f.Fuzz(func(t *testing.T, text, name string) {
		_, _ = parseStat([]byte(text))
		own := "42 (" + name + ") S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20 21\n"
		if s, err := parseStat([]byte(own)); err != nil || s.state != 'S' || s.start != 4711 {
			t.Errorf("%q: %+v, %v", own, s, err)
		}
	})
}
