package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"reconciler.dev/reconciler/hack/internal/scratch"
)

// ideal is the least that keeps a container running by the runtime's command line: wait on a pidfd, create, start. It
// remembers nothing, checks nothing and survives nothing. Its bundles are made before the clock runs, its remains are
// deleted after.
type ideal struct {
	w       *scratch.World
	root    string // the runtime's
	next    int
	bundles map[string]string
}

func newIdeal(w *scratch.World) (*ideal, error) {
	i := &ideal{w: w, root: w.Path("ideal-root"), bundles: map[string]string{}}
	return i, w.InMemory("ideal-root") // neither side has a disk to wait for that the other has not
}

// prepare makes a bundle for one new instance of name and returns its id.
func (i *ideal) prepare(name string) (id string, err error) {
	i.next++
	id = fmt.Sprintf("ideal-%d", i.next)
	if err := i.w.Bundle(id, scratch.BundleOptions{}, "payload", name); err != nil {
		return "", err
	}
	// What the controller derives for its instances: a cgroup of its own, an absolute root.
	path := i.w.Path("bundles", id, "config.json")
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	var config map[string]any
	if err := json.Unmarshal(b, &config); err != nil {
		return "", err
	}
	config["linux"].(map[string]any)["cgroupsPath"] = "/" + i.w.Parent + "/" + id
	config["root"].(map[string]any)["path"] = i.w.Path("bundles", "rootfs")
	if b, err = json.Marshal(config); err != nil {
		return "", err
	}
	i.bundles[id] = filepath.Dir(path)
	return id, os.WriteFile(path, b, 0o600)
}

func (i *ideal) pidFile(id string) string { return filepath.Join(i.bundles[id], "init.pid") }

func (i *ideal) createArgs(id string) []string {
	return []string{"--root", i.root, "create", "--bundle", i.bundles[id], "--pid-file", i.pidFile(id), id}
}

// run creates and starts an instance.
func (i *ideal) run(ctx context.Context, id string) error {
	if err := i.call(ctx, i.createArgs(id)...); err != nil {
		return err
	}
	return i.call(ctx, "--root", i.root, "start", id)
}

func (i *ideal) call(ctx context.Context, args ...string) error {
	// Descriptors only: with pipes exec would wait for the container, which keeps them open.
	cmd := exec.CommandContext(ctx, i.w.Runtime, args...)
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", strings.Join(args, " "), err)
	}
	return nil
}

// init is the instance's init, and a pidfd of it that the caller closes.
func (i *ideal) init(id string) (scratch.Process, int, error) {
	b, err := os.ReadFile(i.pidFile(id))
	if err != nil {
		return scratch.Process{}, -1, err
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(b)))
	if err != nil {
		return scratch.Process{}, -1, err
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return scratch.Process{}, -1, err
	}
	p, err := scratch.Find(pid)
	return p, fd, err
}

// awaitDeath waits on a pidfd.
func awaitDeath(fd int) error {
	for {
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1)
		if err != unix.EINTR {
			return err
		}
	}
}

// discard kills an instance and deletes what is left of it.
func (i *ideal) discard(ctx context.Context, id string) error {
	p, fd, err := i.init(id)
	if err == nil {
		defer unix.Close(fd)
		if p.Kill() == nil {
			if err := awaitDeath(fd); err != nil {
				return err
			}
		}
	}
	return i.call(ctx, "--root", i.root, "delete", id)
}

// Close discards all that is left.
func (i *ideal) Close() {
	entries, _ := os.ReadDir(i.root)
	for _, e := range entries {
		_ = i.discard(context.Background(), e.Name()) // the world's own clean-up comes after
	}
}
