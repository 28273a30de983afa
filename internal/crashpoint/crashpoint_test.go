package crashpoint

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// TestHelper comes to points, in a process of its own.
func TestHelper(t *testing.T) {
	if os.Getenv(EnvFile) == "" {
		t.Log("nothing to do: this is the helper of TestEachPointOnce")
		return
	}
	for range 2 {
		At("a")
		InLoop("b")
	}
}

func TestEachPointOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "past")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"a\n", "a\nb\n", "a\nb\nb\n", "a\nb\nb\n"} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestHelper$")
		cmd.Env = append(os.Environ(), EnvFile+"="+file)
		_ = cmd.Run()
		status := cmd.ProcessState.Sys().(syscall.WaitStatus)
		if killed := status.Signaled() && status.Signal() == syscall.SIGKILL; killed != (i < 3) {
			t.Errorf("run %d ended by %v", i, cmd.ProcessState)
		}
		if got, err := os.ReadFile(file); err != nil || string(got) != want {
			t.Errorf("run %d: %q, want %q, %v", i, got, want, err)
		}
	}
}
