package raw

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func TestNamesAgreesWithReadDir(t *testing.T) {
	dir := t.TempDir()
	var want []string
	for n := range 500 { // several system calls' worth
		name := fmt.Sprintf("%d-%s", n, strings.Repeat("x", n%200))
		want = append(want, name)
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for name, err := range Names(dir) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, name)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got %d names, want %d", len(got), len(want))
	}
	for range Names(dir) {
		break // the directory is closed: see the test of descriptors in package pair
	}
	for _, err := range Names(filepath.Join(dir, "none")) {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("no directory: %v", err)
		}
	}
}

func TestReadFile(t *testing.T) {
	dir := t.TempDir()
	path, link, fifo := filepath.Join(dir, "f"), filepath.Join(dir, "l"), filepath.Join(dir, "p")
	if err := errors.Join(os.WriteFile(path, []byte("content"), 0o600), os.Symlink(path, link), syscall.Mkfifo(fifo, 0o600)); err != nil {
		t.Fatal(err)
	}
	for size, want := range map[int]string{0: "", 3: "con", 7: "content", 100: "content"} {
		if b, err := ReadFile(path, make([]byte, size)); err != nil || string(b) != want {
			t.Errorf("into %d bytes: %q, %v", size, b, err)
		}
	}
	if b, err := ReadFile(link, make([]byte, 9)); !errors.Is(err, syscall.ELOOP) {
		t.Errorf("a symlink was followed: %q, %v", b, err)
	}
	if b, err := ReadFile(fifo, make([]byte, 9)); err != nil || len(b) != 0 {
		t.Errorf("a FIFO: %q, %v", b, err)
	}
	if _, err := ReadFile(filepath.Join(dir, "none"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if !Exists(path) || !Exists(link) || Exists(filepath.Join(dir, "none")) {
		t.Error("Exists is wrong")
	}
}
