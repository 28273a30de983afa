package desired

import (
	"syscall"
	"testing"
	"time"
)

// age makes the cache believe that its files were settled when they were read.
func (d *Dir) age() {
	for name, c := range d.cache {
		c.readAt = c.readAt.Add(time.Hour)
		d.cache[name] = c
	}
}

func TestScanReadsOnlyWhatChanged(t *testing.T) {
	d := newDir(t)
	put(t, d.at("a.yaml"), named("a"))
	put(t, d.at("b.yaml"), "x: 1\n")
	first := scan(t, d)
	d.age()
	second := scan(t, d)
	for name := range first.Files {
		if !sameFile(first.Files[name], second.Files[name]) {
			t.Errorf("%s was parsed again", name)
		}
	}
	put(t, d.at("a.yaml"), named("c")) // of the same size
	third := scan(t, d)
	want(t, third, "a.yaml> c", second.lines()[1])
	if !sameFile(second.Files["b.yaml"], third.Files["b.yaml"]) {
		t.Error("b.yaml was parsed again")
	}
}

// sameFile reports whether two files are of one parse.
func sameFile(a, b File) bool {
	if len(a.Errors) > 0 {
		return len(b.Errors) > 0 && a.Errors[0] == b.Errors[0]
	}
	return len(a.Containers) == len(b.Containers) && &a.Containers[0] == &b.Containers[0]
}

// A file system whose clock ticks slowly gives two writes one stamp: a young stamp proves nothing.
func TestCacheDoubtsTheYoung(t *testing.T) {
	changed := time.Unix(1000, 0)
	c := cached{stamp: stamp{ino: 1, ctime: syscall.NsecToTimespec(changed.UnixNano())}}
	for after, want := range map[time.Duration]bool{0: false, settled: false, settled + 1: true, time.Hour: true, -time.Hour: false} {
		if c.readAt = changed.Add(after); c.covers(c.stamp) != want {
			t.Errorf("read %v after the change: %v", after, !want)
		}
	}
	c.readAt = changed.Add(time.Hour)
	if c.covers(stamp{ino: 2, ctime: c.stamp.ctime}) {
		t.Error("another file is covered")
	}
}
