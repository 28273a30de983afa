package pair

import (
	"encoding/json"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"reconciler.dev/reconciler/pkg/subreaper"
)

// Whatever the arguments are: refused, or what the next image would read as the same.
func FuzzArgs(f *testing.F) {
	for _, s := range []string{
		"x guard --run /r --state /s", "x guard --run /r --state /s --lock 3", "/x reaper --run /r --state /s --guard 7 --lock 3 --listener 4 --inotify 5 --spare 6",
		"x guard --run /r --state /s --held a.1=7,b.2=8 --reaper 9 --upgraded true", "x guard --run", "", "x guard --held = --run r",
		"x guard --run /r --state /s --held a.1=7 --held a.1=8",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		a, err := parseArgs(strings.Split(line, " "))
		if err != nil {
			return
		}
		again, err := parseArgs(a.argv())
		if a.role == subreaper.RoleReaper || a.reaper == 0 { // which are not handed on
			a.reaper, a.upgraded = 0, false
			again.reaper, again.upgraded = 0, false
		}
		if a.role == subreaper.RoleGuard {
			a.guard = 0
		}
		if err != nil || !reflect.DeepEqual(again, a) {
			t.Errorf("%q is read as %+v, and %q as %+v, %v", line, a, a.argv(), again, err)
		}
	})
}

// Whatever a packet holds: refused, or a launch that can be told to others by file names and in a packet.
func FuzzRequest(f *testing.F) {
	for _, s := range []string{
		`{"protocol":1}`, `{"protocol":1,"launch":{"id":"web.1","args":["/bin/true"],"dir":"/","pidFile":"/p","stdout":"/o","stderr":"/o","timeout":1000}}`,
		`{"protocol":1,"launch":{"id":"../x","args":["/bin/true"]}}`, `{"launch":{}}`, "null", "[]", "", `{"protocol":1,"launch":{"timeout":-1}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		var q subreaper.Request
		if json.Unmarshal(packet, &q) != nil || q.Launch == nil || checkLaunch(*q.Launch) != nil {
			return
		}
		l := *q.Launch
		run := subreaper.RunDir("/run/x")
		for _, path := range []string{run.Instance(l.ID), run.Launching(l.ID), run.Exit(l.ID)} {
			if filepath.Dir(filepath.Dir(path)) != "/run/x" || strings.HasPrefix(filepath.Base(path), ".") || len(filepath.Base(path)) > 255 {
				t.Errorf("%q", path)
			}
		}
		if len(l.Args) == 0 || !filepath.IsAbs(l.Args[0]) || !filepath.IsAbs(l.PIDFile) || l.Timeout <= 0 {
			t.Errorf("%+v", l)
		}
	})
}
