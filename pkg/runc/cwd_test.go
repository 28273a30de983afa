package runc

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestEnsureCwd(t *testing.T) {
	for _, c := range []struct {
		name  string
		links map[string]string // made in rootfs beforehand, after its directory tmp
		cwd   string
		makes string // in rootfs
		fails string
	}{
		{name: "root itself", cwd: "/", makes: "."},
		{name: "there already", cwd: "/tmp", makes: "tmp"},
		{name: "missing", cwd: "/a/b/c", makes: "a/b/c"},
		{name: "not clean", cwd: "//a/./x/../b/", makes: "a/b"},
		{name: "dots above the root", cwd: "/../../a", makes: "a"},
		{name: "relative", cwd: "a", fails: "must be an absolute path"},
		{name: "empty", cwd: "", fails: "must be an absolute path"},
		{name: "absolute link within", links: map[string]string{"run": "/tmp"}, cwd: "/run/a", makes: "tmp/a"},
		{name: "relative link within", links: map[string]string{"tmp/l": "../tmp"}, cwd: "/tmp/l/a", makes: "tmp/a"},
		{name: "climbing link that the root stops", links: map[string]string{"l": "../../../../tmp"}, cwd: "/l/a", makes: "tmp/a"},
		{name: "absolute link out", links: map[string]string{"l": "OUTSIDE"}, cwd: "/l", fails: ErrEscapes.Error()},
		{name: "absolute link out, below", links: map[string]string{"l": "OUTSIDE"}, cwd: "/l/a", fails: ErrEscapes.Error()},
		{name: "climbing link out", links: map[string]string{"l": "../outside"}, cwd: "/l/a", fails: ErrEscapes.Error()},
		{name: "link to itself", links: map[string]string{"l": "l"}, cwd: "/l", fails: "too many levels of symbolic links"},
		{name: "file in the way", links: map[string]string{"tmp/f": ""}, cwd: "/tmp/f/a", fails: "not a directory"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			root, outside := filepath.Join(dir, "rootfs"), filepath.Join(dir, "outside")
			if err := errors.Join(os.MkdirAll(filepath.Join(root, "tmp"), 0o755), os.Mkdir(outside, 0o755)); err != nil {
				t.Fatal(err)
			}
			for link, to := range c.links {
				err := os.Symlink(strings.ReplaceAll(to, "OUTSIDE", outside), filepath.Join(root, link))
				if to == "" {
					err = os.WriteFile(filepath.Join(root, link), nil, 0o600)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			err := EnsureCwd(root, c.cwd)
			switch {
			case c.fails != "" && (err == nil || !strings.Contains(err.Error(), c.fails)):
				t.Errorf("%v, want %q", err, c.fails)
			case c.fails == "" && err != nil:
				t.Error(err)
			case c.fails == "":
				if info, err := os.Lstat(filepath.Join(root, c.makes)); err != nil || !info.IsDir() {
					t.Errorf("%s was not made: %v", c.makes, err)
				}
				if err := EnsureCwd(root, c.cwd); err != nil {
					t.Errorf("again: %v", err)
				}
			}
			if entries, err := os.ReadDir(outside); err != nil || len(entries) > 0 {
				t.Errorf("outside the root: %v, %v", entries, err)
			}
		})
	}
}

func TestEnsureCwdRefusesALinkAsRoot(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "r"), 0o755), os.Symlink("r", filepath.Join(dir, "l"))); err != nil {
		t.Fatal(err)
	}
	if err := EnsureCwd(filepath.Join(dir, "l"), "/a"); err == nil {
		t.Error("followed")
	}
}

// Somebody swaps a directory for a link out of the root, all the time.
func TestEnsureCwdUnderRenames(t *testing.T) {
	dir := t.TempDir()
	root, outside := filepath.Join(dir, "rootfs"), filepath.Join(dir, "outside")
	if err := errors.Join(os.MkdirAll(filepath.Join(root, "d"), 0o755), os.Mkdir(outside, 0o755),
		os.Symlink("../outside", filepath.Join(root, "link"))); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				unix.Renameat2(unix.AT_FDCWD, root+"/d", unix.AT_FDCWD, root+"/link", unix.RENAME_EXCHANGE)
			}
		}
	}()
	inside, err := os.OpenRoot(root)
	if err != nil {
		t.Fatal(err)
	}
	defer inside.Close()
	for range 200 {
		EnsureCwd(root, "/d/x/y") // may fail, may not leave the root
		inside.RemoveAll("d/x")
	}
	close(stop)
	<-done
	if entries, err := os.ReadDir(outside); err != nil || len(entries) > 0 {
		t.Errorf("outside the root: %v, %v", entries, err)
	}
}
