package observed

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"reconciler.dev/reconciler/pkg/cgroup"
	"reconciler.dev/reconciler/pkg/subreaper"
)

// Looker looks at instances and holds nothing in between.
type Looker struct {
	Run         subreaper.RunDir
	RuntimeRoot string         // of the OCI runtime: a directory an instance; empty: not looked at
	Cgroups     *cgroup.Parent // nil: not looked at

	// Origin reads what an instance carries of its origin, nil if it carries nothing of ours.
	Origin func(id string) (*Origin, error)
}

// Look answers questions by files and by the kernel; it runs no command. Which instances there are it does not know.
func (l Looker) Look(questions []Question) Snapshot {
	s := Snapshot{Instances: map[string]Instance{}}
	for _, q := range questions {
		s.Instances[q.ID] = l.look(q, closing)
	}
	return s
}

// opener returns a verified pidfd, and what to do when it was used.
type opener func(id string, p subreaper.Process) (pidfd int, done func(), err error)

func closing(_ string, p subreaper.Process) (int, func(), error) {
	fd, err := p.Open()
	return fd, func() { closeFd(fd) }, err
}

func (l Looker) look(q Question, open opener) Instance {
	i := Instance{ID: q.ID, Life: NoProcess}
	switch launched, err := subreaper.ReadInstance(l.Run, q.ID); {
	case q.Process != nil:
		i.Process = *q.Process
	case errors.Is(err, fs.ErrNotExist):
		return i
	case errors.Is(err, subreaper.ErrDamaged):
		i.Life = Dead // whoever it was has run nothing: its start is not on record
		return i
	case err != nil:
		i.Unknown = fmt.Sprintf("instance file: %v", err)
		return i
	default:
		i.Process = launched.Process
	}
	if err := l.life(&i, open); err != nil {
		return Instance{ID: q.ID, Unknown: err.Error()}
	}
	if i.Exit != nil && i.Exit.Status.Signal() == syscall.SIGKILL && l.Cgroups != nil {
		i.OOM = l.Cgroups.OOMKills(i.ID) > 0
	}
	if i.Life == Alive && l.RuntimeRoot != "" {
		_, err := os.Lstat(filepath.Join(l.RuntimeRoot, i.ID))
		i.Lost = errors.Is(err, fs.ErrNotExist)
	}
	if i.Life == Alive && l.Cgroups != nil {
		frozen, err := l.Cgroups.Frozen(i.ID)
		if err != nil {
			return Instance{ID: q.ID, Unknown: err.Error()}
		}
		i.Frozen = frozen
	}
	if q.Origin && l.Origin != nil {
		origin, err := l.Origin(i.ID)
		if err != nil {
			return Instance{ID: q.ID, Unknown: err.Error()}
		}
		i.Origin = origin
	}
	return i
}

// life asks the kernel first and the exit file after: the pair writes an exit before it reaps, so that a process seen
// reaped without an exit file was reaped by a stranger, and nobody will write one who has not asked the pidfd himself.
func (l Looker) life(i *Instance, open opener) error {
	boot, err := subreaper.BootID()
	if err != nil {
		return err
	}
	if i.Process.BootID != boot {
		i.Life = Dead
		if err := l.recorded(i); err != nil || i.Exit != nil {
			return err
		}
		i.Exit = i.unknownExit(subreaper.ReasonHostRebooted)
		return nil
	}
	fd, done, err := open(i.ID, i.Process)
	if errors.Is(err, subreaper.ErrGone) {
		i.Life = Dead
		return l.gone(i)
	}
	if err != nil {
		return err
	}
	defer done()
	seen, err := subreaper.Witness(fd, i.Process)
	if err != nil {
		return err
	}
	if seen.Life == subreaper.Alive {
		i.Life = Alive
		stat, err := subreaper.ReadStat(i.Process.PID)
		i.Ours = err == nil && subreaper.IsRole(stat.Parent, l.Run)
		return nil
	}
	i.Life = Dead
	if err := l.recorded(i); err != nil || i.Exit != nil && i.Exit.Source != subreaper.SourceUnknown {
		return err
	}
	switch {
	case seen.Life == subreaper.Zombie && subreaper.IsRole(seen.Parent, l.Run):
		// Its parent is about to record it.
	case seen.Source != "": // better than an `unknown` on record, too: the pair had no pidfd in time, and we had
		i.Exit = &subreaper.Exit{Instance: i.ID, Process: i.Process, Status: seen.Status, Source: seen.Source, FinishedAt: time.Now()}
	case seen.Life == subreaper.Reaped && i.Exit == nil:
		return l.gone(i)
	}
	return nil
}

// gone judges a process of which nothing is left to ask. Where there is an instance file the guard answers for it: it
// may hold a pidfd that was opened in time, and it records `unknown` if not. Where there is none nobody ever will.
func (l Looker) gone(i *Instance) error {
	if err := l.recorded(i); err != nil || i.Exit != nil {
		return err
	}
	_, err := subreaper.ReadInstance(l.Run, i.ID)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, subreaper.ErrDamaged) {
		i.Exit = i.unknownExit(subreaper.ReasonUnseen)
		return nil
	}
	return err
}

// recorded reads the exit file. One about another process is no record of this one; a damaged one keeps the pair from
// writing another, so nobody will know.
func (l Looker) recorded(i *Instance) error {
	exit, err := subreaper.ReadExit(l.Run, i.ID)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, subreaper.ErrDamaged):
		i.Exit = i.unknownExit(ReasonDamagedRecord)
		return nil
	case err != nil:
		return fmt.Errorf("exit file: %w", err)
	case exit.Process == i.Process:
		i.Exit = &exit
	}
	return nil
}

// ReasonDamagedRecord is the reason of an `unknown` whose exit file cannot be understood.
const ReasonDamagedRecord = "DamagedRecord"

func (i *Instance) unknownExit(reason string) *subreaper.Exit {
	return &subreaper.Exit{
		Instance: i.ID, Process: i.Process, Source: subreaper.SourceUnknown, Reason: reason, FinishedAt: time.Now(),
	}
}
