package observed

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"reconciler.dev/reconciler/pkg/cgroup"
	"reconciler.dev/reconciler/pkg/subreaper"
)

// Looker looks at instances and holds nothing in between.
type Looker struct {
	Run         subreaper.RunDir
	RuntimeRoot string         // of the OCI runtime: a directory an instance; empty: not looked at
	Cgroups     *cgroup.Parent // nil: not looked at

	// ReadOrigin reads what an instance carries of its origin, nil if it carries nothing of ours; nil: not looked at.
	ReadOrigin func(id string) (*Origin, error)
}

// Look answers questions by files and by the kernel; it runs no command. Which instances there are it does not know.
func (l Looker) Look(questions []Question) Snapshot {
	s := Snapshot{Instances: map[string]Instance{}}
	for _, q := range questions {
		s.Instances[q.ID] = Judge(q, l)
	}
	return s
}

var _ Facts = Looker{}

func (l Looker) Launched(id string) (subreaper.Instance, error) {
	return subreaper.ReadInstance(l.Run, id)
}

func (l Looker) Recorded(id string) (subreaper.Exit, error) { return subreaper.ReadExit(l.Run, id) }

func (l Looker) Boot() (string, error) { return subreaper.BootID() }

func (l Looker) Witness(_ string, p subreaper.Process) (subreaper.Sighting, error) {
	fd, err := p.Open()
	if err != nil {
		return subreaper.Sighting{}, err
	}
	defer closeFd(fd)
	return subreaper.Witness(fd, p)
}

func (l Looker) Child(pid int) bool {
	stat, err := subreaper.ReadStat(pid)
	return err == nil && l.Role(stat.Parent)
}

func (l Looker) Role(pid int) bool { return subreaper.IsRole(pid, l.Run) }

func (l Looker) OOMKilled(id string) bool { return l.Cgroups != nil && l.Cgroups.OOMKills(id) > 0 }

func (l Looker) Listed(id string) bool {
	if l.RuntimeRoot == "" {
		return true
	}
	_, err := os.Lstat(filepath.Join(l.RuntimeRoot, id))
	return !errors.Is(err, fs.ErrNotExist)
}

func (l Looker) Frozen(id string) (bool, error) {
	if l.Cgroups == nil {
		return false, nil
	}
	return l.Cgroups.Frozen(id)
}

func (l Looker) Origin(id string) (*Origin, error) {
	if l.ReadOrigin == nil {
		return nil, nil
	}
	return l.ReadOrigin(id)
}

func (l Looker) Now() time.Time { return time.Now() }
