package bundle

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestLoad(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(path string) error // of config.json
		want string                  // the error's end; empty for {}
	}{
		{"file", func(p string) error { return os.WriteFile(p, []byte("{}"), 0o644) }, ""},
		{"symlink inside", func(p string) error {
			inner := filepath.Join(filepath.Dir(p), "..data")
			if err := os.WriteFile(inner, []byte("{}"), 0o644); err != nil {
				return err
			}
			return os.Symlink("..data", p)
		}, ""},
		{"missing", func(string) error { return nil }, "no such file or directory"},
		{"symlink out", func(p string) error { return os.Symlink("/etc/passwd", p) }, "path escapes from parent"},
		{"FIFO", func(p string) error { return syscall.Mkfifo(p, 0o644) }, "config.json is not a regular file"},
		{"directory", func(p string) error { return os.Mkdir(p, 0o755) }, "config.json is not a regular file"},
		{"large", func(p string) error {
			if err := os.WriteFile(p, nil, 0o644); err != nil {
				return err
			}
			return os.Truncate(p, 300<<20) // sparse
		}, "config.json is larger than 4 MiB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := c.make(filepath.Join(dir, "config.json")); err != nil {
				t.Fatal(err)
			}
			config, err := Load(dir)
			if c.want == "" {
				if err != nil || string(config) != "{}" {
					t.Errorf("%q, %v", config, err)
				}
			} else if err == nil || !strings.HasSuffix(err.Error(), c.want) || !strings.Contains(err.Error(), "bundle") {
				t.Errorf("got %v, want ...%s", err, c.want)
			}
		})
	}
	for name, make := range map[string]func(path string) error{
		"missing": func(string) error { return nil },
		"a FIFO":  func(path string) error { return syscall.Mkfifo(path, 0o644) },
		"a file":  func(path string) error { return os.WriteFile(path, nil, 0o644) },
	} {
		path := filepath.Join(t.TempDir(), "bundle")
		if err := make(path); err != nil {
			t.Fatal(err)
		}
		if config, err := Load(path); err == nil {
			t.Errorf("a bundle that is %s: %q", name, config)
		}
	}
}
