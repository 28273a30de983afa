package runctest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Main runs the tests for a TestMain and exits. It fails a run that passed but left behind a child process or zombie of
// this process, a file descriptor, or a cgroup made by CgroupParent.
func Main(m *testing.M) {
	before, err := openFiles()
	if err != nil {
		fmt.Fprintln(os.Stderr, "runctest:", err)
		os.Exit(1)
	}
	code := m.Run()
	leaks := leaked(before)
	for _, l := range leaks {
		fmt.Fprintln(os.Stderr, "FAIL: leaked:", l)
	}
	if len(leaks) > 0 && code == 0 {
		code = 1
	}
	os.Exit(code)
}

// leaked waits for what is still on its way out and describes what stays.
func leaked(before map[int]string) (leaks []string) {
	for deadline := time.Now().Add(settle); ; time.Sleep(time.Millisecond) {
		leaks = slices.Concat(leakedChildren(), leakedFiles(before), leakedCgroups())
		if len(leaks) == 0 || time.Now().After(deadline) {
			return leaks
		}
	}
}

func leakedChildren() (leaks []string) {
	// Children are listed by the thread that made or inherited them, so every thread is asked.
	lists, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		return []string{err.Error()}
	}
	for _, list := range lists {
		b, err := os.ReadFile(list)
		if errors.Is(err, fs.ErrNotExist) {
			continue // the thread is gone, its children moved to another one
		}
		if err != nil {
			return []string{err.Error()}
		}
		for _, pid := range strings.Fields(string(b)) {
			stat, _ := os.ReadFile("/proc/" + pid + "/stat")
			leaks = append(leaks, "child process: "+strings.TrimSpace(string(stat[:min(len(stat), 80)])))
		}
	}
	return leaks
}

func leakedFiles(before map[int]string) (leaks []string) {
	after, err := openFiles()
	if err != nil {
		return []string{err.Error()}
	}
	for fd, what := range after {
		if before[fd] != what {
			leaks = append(leaks, fmt.Sprintf("file descriptor %d: %s", fd, what))
		}
	}
	slices.Sort(leaks)
	return leaks
}

// openFiles returns this process's descriptors, but for those that Go's runtime opens once and keeps: its poller.
func openFiles() (map[int]string, error) {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil, err
	}
	files := map[int]string{}
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil {
			return nil, err
		}
		what, err := os.Readlink(filepath.Join("/proc/self/fd", e.Name()))
		switch {
		case errors.Is(err, fs.ErrNotExist): // that of the listing itself
		case err != nil:
			return nil, err
		case what != "anon_inode:[eventpoll]" && what != "anon_inode:[eventfd]":
			files[fd] = what
		}
	}
	return files, nil
}

func leakedCgroups() (leaks []string) {
	points, err := hierarchies()
	if err != nil {
		return []string{err.Error()}
	}
	made.Lock()
	defer made.Unlock()
	for _, parent := range made.parents {
		for _, point := range points {
			if dir := filepath.Join(point, parent); exists(dir) {
				leaks = append(leaks, "cgroup "+dir)
			}
		}
	}
	return leaks
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
