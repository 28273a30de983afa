package desired

import (
	"syscall"
	"testing"
)

func TestParseSignal(t *testing.T) {
	for s, want := range map[string]syscall.Signal{
		"SIGTERM": 15, "TERM": 15, "term": 15, "sigterm": 15, "15": 15, "1": 1, "KILL": 9, "USR1": 10, "SIGPWR": 30, "31": 31,
		"SIGRTMIN": 34, "RTMIN+3": 37, "rtmin+30": 64, "SIGRTMAX": 64, "RTMAX-30": 34, "34": 34, "64": 64,
	} {
		got, err := ParseSignal(s)
		if err != nil || got != want {
			t.Errorf("%s: %d, %v; want %d", s, got, err, want)
			continue
		}
		name := SignalName(got)
		if back, err := ParseSignal(name); err != nil || back != got {
			t.Errorf("%s is named %s, which is %d, %v", s, name, back, err)
		}
	}
	for _, s := range []string{
		"", "0", "-1", "65", "+15", "015", "32", "33", "99999999999999999999", "SIG", "SIGSIGTERM", "TERM ", "RTMIN+31", "RTMAX-31",
		"RTMIN+", "RTMIN-1", "RTMAX+1", "RTMIN++1", "RTMIN+-1", "RTMIN3", "RTMAX3", "RTMAX-", "RTMIN+256",
	} {
		if got, err := ParseSignal(s); err == nil {
			t.Errorf("%q: %d", s, got)
		}
	}
}

func TestSignalName(t *testing.T) {
	for sig, want := range map[syscall.Signal]string{
		15: "SIGTERM", 6: "SIGABRT", 17: "SIGCHLD", 34: "SIGRTMIN", 37: "SIGRTMIN+3", 64: "SIGRTMIN+30", 0: "", 32: "", 33: "", 65: "",
	} {
		if got := SignalName(sig); got != want {
			t.Errorf("%d: %q, want %q", sig, got, want)
		}
	}
}
