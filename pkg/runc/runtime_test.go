package runc

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestNew(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	open := filepath.Join(dir, "open")
	if err := errors.Join(os.Mkdir(open, 0o700), os.Chmod(open, 0o777), os.Symlink(dir, filepath.Join(dir, "link"))); err != nil {
		t.Fatal(err)
	}
	good := Config{Path: "/bin/true", Root: dir + "/a/root", LogDir: dir + "/a/log", StateDir: dir + "/a/state"}
	for _, c := range []struct {
		name  string
		edit  func(*Config)
		is    error
		fails string
	}{
		{"name not in PATH", func(c *Config) { c.Path = "no-such-runtime" }, ErrNoRuntime, `"no-such-runtime" is not in PATH: install it`},
		{"absent", func(c *Config) { c.Path = dir + "/absent" }, ErrNoRuntime, "/absent is not there"},
		{"not executable", func(c *Config) { c.Path = plain }, ErrNoRuntime, "/plain is not executable"},
		{"a directory", func(c *Config) { c.Path = dir }, ErrNoRuntime, dir},
		{"relative", func(c *Config) { c.Path = "bin/runc" }, ErrNoRuntime, "or an absolute path"},
		{"relative root", func(c *Config) { c.Root = "root" }, nil, `runtime root "root": must be an absolute path`},
		{"no log directory", func(c *Config) { c.LogDir = "" }, nil, `runtime log directory "": must be an absolute path`},
		{"others may write", func(c *Config) { c.StateDir = open }, nil, "others may write there"},
		{"a link", func(c *Config) { c.StateDir = dir + "/link" }, nil, "is a symlink"},
		{"below a file", func(c *Config) { c.Root = plain + "/root" }, nil, "not a directory"},
		{"negative time limit", func(c *Config) { c.Timeout = -1 }, nil, "must be positive"},
	} {
		config := good
		c.edit(&config)
		_, err := New(config)
		if err == nil || !strings.Contains(err.Error(), c.fails) || c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: %v, want %q", c.name, err, c.fails)
		}
	}
	r, err := New(good)
	if err != nil || r.Path() != "/bin/true" {
		t.Fatal(err)
	}
	for _, d := range []string{good.Root, good.LogDir, good.StateDir} {
		if info, err := os.Stat(d); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v", d, info, err)
		}
	}
}

func TestNewRefusesARelativeEntryOfPATH(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	t.Setenv("PATH", ".")
	if err := os.WriteFile("runc", []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Config{Root: dir + "/r", LogDir: dir + "/l", StateDir: dir + "/s"}); !errors.Is(err, ErrNoRuntime) {
		t.Errorf("%v", err)
	}
}

func TestWipedDirectoriesAreMadeAgain(t *testing.T) {
	r := scripted(t, long, `echo '{"id":"a","status":"stopped"}'`)
	for _, d := range []string{r.root, r.logDir, r.stateDir} {
		if err := os.RemoveAll(d); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := container(t, r, "a").State(t.Context()); err != nil {
		t.Error(err)
	}
}
