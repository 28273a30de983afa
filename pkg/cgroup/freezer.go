package cgroup

import (
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Both versions' freezers: https://docs.kernel.org/admin-guide/cgroup-v1/freezer-subsystem.html and the Core Interface
// Files of https://docs.kernel.org/admin-guide/cgroup-v2.html.
const (
	freezerV1 = "freezer.state" // FROZEN, FREEZING or THAWED: what the cgroup is, by itself or by one above it
	freezerV2 = "cgroup.freeze" // 1 or 0: what was asked for; what the cgroup is, is "frozen" in cgroup.events
)

// Frozen says whether an instance's cgroup is frozen, by whomever: in version 1 from the moment that it was asked for, in
// version 2 once all of its processes stand still. It is false where there is no such cgroup or no freezer.
func (p *Parent) Frozen(instance string) (bool, error) {
	for _, dir := range p.dirsIn(p.freezers, instance) {
		state, err := os.ReadFile(filepath.Join(dir, freezerV1))
		if err := ignoreGone(err); err != nil {
			return false, err
		}
		if s := strings.TrimSpace(string(state)); s == "FROZEN" || s == "FREEZING" {
			return true, nil
		}
		events, err := os.ReadFile(filepath.Join(dir, "cgroup.events"))
		if err := ignoreGone(err); err != nil {
			return false, err
		}
		if n, _ := keyed(string(events), "frozen"); n == 1 {
			return true, nil
		}
	}
	return false, nil
}

// FreezerEvents is the file that inotify(7) tells of when an instance's cgroup is frozen or thawed: freezer.state in
// version 1, which a hybrid machine's runtimes write to, else cgroup.events, which the kernel notifies. It is empty where
// there is no such cgroup or no freezer.
func (p *Parent) FreezerEvents(instance string) string {
	dirs := p.dirsIn(p.freezers, instance)
	for _, has := range []struct{ file, tells string }{{freezerV1, freezerV1}, {freezerV2, "cgroup.events"}} {
		for _, dir := range dirs {
			if _, err := os.Lstat(filepath.Join(dir, has.file)); err == nil {
				return filepath.Join(dir, has.tells)
			}
		}
	}
	return ""
}

// Thaw lets whatever is frozen in an instance's cgroup, or in one below it, go on. In a frozen v1 cgroup even SIGKILL stays
// pending until then; in version 2 it does not. A failure shows in Frozen, and in processes that do not end.
func (p *Parent) Thaw(instance string) {
	for _, dir := range p.dirs(instance) {
		_ = walk(dir, func(dir string) error {
			write(filepath.Join(dir, freezerV1), "THAWED")
			write(filepath.Join(dir, freezerV2), "0")
			return nil
		})
	}
}

// write makes no file: one that is missing belongs to another version of cgroups or of the kernel.
func write(file, text string) {
	f, err := os.OpenFile(file, os.O_WRONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return
	}
	_, _ = f.WriteString(text)
	_ = f.Close()
}
