package observed

import (
	"os"
	"testing"

	"reconciler.dev/reconciler/pkg/subreaper"
)

// Whatever lies in the places of an instance's files: once its process is gone its end is known, or known not to be known.
// The pair writes over nothing that is there, so nobody who waits for more would be helped.
func FuzzFilesOfTheDead(f *testing.F) {
	l := Looker{Run: subreaper.RunDir(f.TempDir())}
	for _, dir := range []string{l.Run.InstancesDir(), l.Run.ExitsDir()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			f.Fatal(err)
		}
	}
	boot, err := subreaper.BootID()
	if err != nil {
		f.Fatal(err)
	}
	dead := subreaper.Process{PID: 1 << 30, StartTime: 1, BootID: boot}
	instance := `{"id":"web.1","process":{"pid":1073741824,"startTime":1,"bootID":"` + boot + `"}}`
	for _, exit := range []string{
		"", "{}", "null", `{"instance":"web.1"}`, `{"instance":"web.2"}`,
		`{"instance":"web.1","process":{"pid":1073741824,"startTime":1,"bootID":"` + boot + `"},"status":1792,"source":"waitid"}`,
	} {
		f.Add([]byte(instance), []byte(exit))
		f.Add([]byte(exit), []byte(exit))
	}
	f.Fuzz(func(t *testing.T, instance, exit []byte) {
		if err := os.WriteFile(l.Run.Instance("web.1"), instance, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(l.Run.Exit("web.1"), exit, 0o600); err != nil {
			t.Fatal(err)
		}
		i := l.Look([]Question{{ID: "web.1", Process: &dead}}).Instances["web.1"]
		if i.Unknown != "" || i.Life != Dead || i.Exit == nil || i.Exit.Process != dead {
			t.Errorf("instance %q, exit %q: %+v %+v", instance, exit, i, i.Exit)
		}
	})
}
