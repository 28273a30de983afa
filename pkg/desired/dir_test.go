package desired

import (
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"reconciler.dev/reconciler/internal/runctest"
)

func TestMain(m *testing.M) { runctest.Main(m) }

// named is a manifest of one container.
func named(name string) string { return of("metadata: {name: "+name+"}", "spec: {bundle: b}") }

func newDir(t *testing.T) *Dir {
	t.Helper()
	path := filepath.Join(t.TempDir(), "manifests")
	mkdir(t, path)
	d, err := OpenDir(path)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func mkdir(t *testing.T, path string) {
	t.Helper()
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
}

func (d *Dir) at(name string) string { return filepath.Join(d.path, name) }

// put writes a file as careful programs do: beside, then renamed into place.
func put(t *testing.T, path, text string) {
	t.Helper()
	temp := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".tmp")
	if err := os.WriteFile(temp, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(temp, path); err != nil {
		t.Fatal(err)
	}
}

func do(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func scan(t *testing.T, d *Dir) Scan {
	t.Helper()
	s, err := d.Scan()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// lines is a scan in a form to compare: `file: names` or `file: error; error`.
func (s Scan) lines() []string {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(s.Files)) {
		f, parts := s.Files[name], []string{}
		for _, c := range f.Containers {
			parts = append(parts, c.Name)
		}
		for _, err := range f.Errors {
			parts = append(parts, err.Error())
		}
		lines = append(lines, name+"> "+strings.Join(parts, "; "))
	}
	return lines
}

func want(t *testing.T, s Scan, lines ...string) {
	t.Helper()
	if got := s.lines(); !slices.Equal(got, lines) {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(lines, "\n\t"))
	}
}

func TestScanFiles(t *testing.T) {
	d := newDir(t)
	want(t, scan(t, d))
	put(t, d.at("b.yaml"), named("b")+"---\n"+named("b2"))
	put(t, d.at("a.yml"), named("a"))
	put(t, d.at("c.json"), `{"apiVersion":"reconciler/v1alpha1","kind":"Container","metadata":{"name":"c"},"spec":{"bundle":"x"}}`)
	put(t, d.at("bad.yaml"), "spec: [")
	for _, other := range []string{
		".hidden.yaml", "x.yaml~", ".x.yaml.swp", "x.yaml.tmp", "#x.yaml#", ".#x.yaml", "4913", "README.md", "yaml", "x.YAML", ".yaml",
	} {
		do(t, os.WriteFile(d.at(other), []byte(named("x")), 0o644))
	}
	got := scan(t, d)
	bad := "bad.yaml> bad.yaml:1:8: did not find expected node content"
	want(t, got, "a.yml> a", "b.yaml> b; b2", bad, "c.json> c")
	if bundle := got.Files["a.yml"].Containers[0].Spec.Bundle; bundle != d.at("b") {
		t.Errorf("bundle %s", bundle)
	}
	do(t, os.Remove(d.at("a.yml")))
	put(t, d.at("b.yaml"), named("b3"))
	want(t, scan(t, d), "b.yaml> b3", bad, "c.json> c")
}

// Whatever lies there under a manifest's name is one error, at once, and hides nothing else.
func TestScanNoManifests(t *testing.T) {
	d := newDir(t)
	put(t, d.at("ok.yaml"), named("ok"))
	outside := filepath.Join(t.TempDir(), "outside.yaml")
	put(t, outside, named("outside"))
	socket, err := net.Listen("unix", d.at("socket.yaml"))
	do(t, err,
		syscall.Mkfifo(d.at("fifo.yaml"), 0o644),
		os.Mkdir(d.at("dir.yaml"), 0o755),
		os.Symlink(outside, d.at("absolute.yaml")),
		os.Symlink("../../outside.yaml", d.at("relative.yaml")),
		os.Symlink("loop.yaml", d.at("loop.yaml")),
		os.Symlink("gone", d.at("dangling.yaml")),
		os.Symlink("fifo.yaml", d.at("tofifo.yaml")),
		os.WriteFile(d.at("binary.yaml"), []byte("\x7fELF\x02\x01\x01\x00"), 0o644),
		os.WriteFile(d.at("empty.yaml"), nil, 0o644),
		os.WriteFile(d.at("sparse.yaml"), nil, 0o644),
		os.Truncate(d.at("sparse.yaml"), 300<<20),
		os.WriteFile(d.at("open.yaml"), []byte(named("open")), 0o644),
		os.Chmod(d.at("open.yaml"), 0o666),
	)
	defer socket.Close()
	leads := " is a symlink that leads nowhere inside this directory "
	want(t, scan(t, d),
		"absolute.yaml> absolute.yaml:"+leads+"(path escapes from parent): put the file here",
		`binary.yaml> binary.yaml:1:1: control character '\x7f': a manifest is plain text`,
		"dangling.yaml> dangling.yaml:"+leads+"(no such file or directory): put the file here",
		"dir.yaml> dir.yaml: is a directory: a manifest is a regular file",
		"empty.yaml> empty.yaml:1:1: there is no Container in this file: remove the file, or write one",
		"fifo.yaml> fifo.yaml: is a FIFO: a manifest is a regular file",
		"loop.yaml> loop.yaml:"+leads+"(too many levels of symbolic links): put the file here",
		"ok.yaml> ok",
		"open.yaml> open.yaml: is writable for others than its owner (mode 0666), who could have anything run as root: chmod go-w it",
		"relative.yaml> relative.yaml:"+leads+"(path escapes from parent): put the file here",
		"socket.yaml> socket.yaml: is a socket: a manifest is a regular file",
		"sparse.yaml> sparse.yaml: is larger than 1 MiB: a manifest holds containers, not data",
		"tofifo.yaml> tofifo.yaml: is a FIFO: a manifest is a regular file",
	)
}

func TestScanDevice(t *testing.T) {
	runctest.Require(t, runctest.Root)
	d := newDir(t)
	if err := unix.Mknod(d.at("null.yaml"), unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3))); err != nil {
		t.Skipf("capability mknod missing: %v", err)
	}
	want(t, scan(t, d), "null.yaml> null.yaml: is a device: a manifest is a regular file")
}

// A mounted ConfigMap: the files are links to ..data/<file>, and ..data is a link that is swapped by rename.
func TestScanConfigMap(t *testing.T) {
	d := newDir(t)
	mkdir(t, d.at("..1"))
	mkdir(t, d.at("..2"))
	put(t, d.at("..1/web.yaml"), named("one"))
	put(t, d.at("..2/web.yaml"), named("two"))
	do(t, os.Symlink("..1", d.at("..data")), os.Symlink("..data/web.yaml", d.at("web.yaml")))
	got := scan(t, d)
	want(t, got, "web.yaml> one")
	if bundle := got.Files["web.yaml"].Containers[0].Spec.Bundle; bundle != d.at("b") {
		t.Errorf("bundle %s is not taken from the manifests directory", bundle)
	}
	do(t, os.Symlink("..2", d.at("..tmp")), os.Rename(d.at("..tmp"), d.at("..data")), os.RemoveAll(d.at("..1")))
	want(t, scan(t, d), "web.yaml> two")
}

func TestScanDirectory(t *testing.T) {
	d := newDir(t)
	put(t, d.at("a.yaml"), named("a"))
	refused := func(part string) {
		t.Helper()
		if s, err := d.Scan(); err == nil || s.Files != nil || !strings.Contains(err.Error(), d.path) || !strings.Contains(err.Error(), part) {
			t.Errorf("%v, %v; want an error with %q", s, err, part)
		}
	}
	for _, mode := range []os.FileMode{0o775, 0o757, 0o777 | os.ModeSticky} {
		do(t, os.Chmod(d.path, mode))
		refused("chmod go-w it")
	}
	do(t, os.Chmod(d.path, 0o755), os.Rename(d.path, d.path+".away"))
	refused("no such file or directory")
	do(t, syscall.Mkfifo(d.path, 0o644))
	refused("not a directory")
	do(t, os.Remove(d.path), os.Symlink(d.path+".away", d.path))
	want(t, scan(t, d), "a.yaml> a")
}

func TestScanOwners(t *testing.T) {
	runctest.Require(t, runctest.Root)
	d := newDir(t)
	put(t, d.at("a.yaml"), named("a"))
	do(t, os.Chown(d.at("a.yaml"), 1000, 0))
	want(t, scan(t, d), "a.yaml> a.yaml: belongs to uid 1000, who could have anything run as root: chown it to root")
	do(t, os.Chown(d.path, 1000, 0))
	if _, err := d.Scan(); err == nil || !strings.Contains(err.Error(), d.path+": belongs to uid 1000") {
		t.Error(err)
	}
}

func TestIdentity(t *testing.T) {
	d := newDir(t)
	one := scan(t, d).Identity
	put(t, d.at("a.yaml"), named("a"))
	if again := scan(t, d).Identity; again != one {
		t.Errorf("%q became %q", one, again)
	}
	do(t, os.Rename(d.path, d.path+".away"))
	mkdir(t, d.path)
	two := scan(t, d).Identity
	if two == one || SameDirectory(one, two, false) || SameDirectory(one, two, true) {
		t.Errorf("%q and %q are told to be one", one, two)
	}
	do(t, os.Remove(d.path))
	mkdir(t, d.path) // most likely with the same inode number
	if three := scan(t, d).Identity; three == two {
		t.Errorf("a new directory has the identity %q of the old one", three)
	}
}

func TestSameDirectory(t *testing.T) {
	const a = "device 8:1 inode 5 born 1.000000002"
	for _, c := range []struct {
		b         string
		now, boot bool
	}{
		{a, true, true},
		{"device 8:2 inode 5 born 1.000000002", false, true},
		{"device 8:1 inode 6 born 1.000000002", false, false},
		{"device 8:1 inode 5 born 1.000000003", false, false},
		{"", false, false},
	} {
		if now, boot := SameDirectory(a, c.b, false), SameDirectory(a, c.b, true); now != c.now || boot != c.boot {
			t.Errorf("%q: %v, over a reboot %v", c.b, now, boot)
		}
	}
	if SameDirectory("", "", false) || SameDirectory("", "", true) {
		t.Error("nothing is the same as nothing")
	}
}

// A file that vanishes and comes back while the directory is read is there, or not, or broken for a moment; never a panic.
func TestScanRaces(t *testing.T) {
	d := newDir(t)
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() {
		var err error
		for i := 0; err == nil; i++ {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			name := d.at(fmt.Sprintf("f%d.yaml", i%7))
			if i%3 == 0 {
				err = os.RemoveAll(name)
			} else {
				err = os.WriteFile(name, []byte(named(fmt.Sprintf("f%d", i))), 0o644)
			}
		}
		done <- err
	}()
	for range 300 {
		for name, f := range scan(t, d).Files {
			for _, err := range f.Errors {
				if !strings.HasPrefix(err.Error(), name+":") {
					t.Errorf("%v", err)
				}
			}
		}
	}
	close(stop)
	do(t, <-done)
}
