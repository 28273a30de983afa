package observed

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"time"

	"reconciler.dev/reconciler/pkg/subreaper"
)

// Facts are what files and the kernel tell of one instance at the moment they are asked. A Looker's are the real ones.
type Facts interface {
	// Launched is the instance file, Recorded the exit file: fs.ErrNotExist if there is none, subreaper.ErrDamaged if it
	// cannot be understood.
	Launched(id string) (subreaper.Instance, error)
	Recorded(id string) (subreaper.Exit, error)
	// Boot is the running boot's id.
	Boot() (string, error)
	// Witness asks the kernel about p, by a pidfd verified to be of p: subreaper.ErrGone if there is none to be had.
	Witness(id string, p subreaper.Process) (subreaper.Sighting, error)
	// Child says whether the parent of a process that lives is the guard or the reaper, Role whether a pid is one of the two.
	Child(pid int) bool
	Role(pid int) bool
	// OOMKilled: the OOM killer struck in its cgroup. Listed: its runtime knows of it. Frozen: its cgroup is.
	OOMKilled(id string) bool
	Listed(id string) bool
	Frozen(id string) (bool, error)
	Origin(id string) (*Origin, error)
	Now() time.Time
}

// Judge says what is true of one instance by the facts, in the order in which they must be asked for.
func Judge(q Question, f Facts) Instance {
	i := Instance{ID: q.ID, Life: NoProcess}
	switch launched, err := f.Launched(q.ID); {
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
	if err := i.live(f); err != nil {
		return Instance{ID: q.ID, Unknown: err.Error()}
	}
	if i.Exit != nil && i.Exit.Status.Signal() == syscall.SIGKILL {
		i.OOM = f.OOMKilled(i.ID)
	}
	if i.Life == Alive {
		i.Lost = !f.Listed(i.ID)
		frozen, err := f.Frozen(i.ID)
		if err != nil {
			return Instance{ID: q.ID, Unknown: err.Error()}
		}
		i.Frozen = frozen
	}
	if q.Origin {
		origin, err := f.Origin(i.ID)
		if err != nil {
			return Instance{ID: q.ID, Unknown: err.Error()}
		}
		i.Origin = origin
	}
	return i
}

// live asks the kernel first and the exit file after: the pair writes an exit before it reaps, so that a process seen
// reaped without an exit file was reaped by a stranger, and nobody will write one who has not asked the pidfd himself.
func (i *Instance) live(f Facts) error {
	boot, err := f.Boot()
	if err != nil {
		return err
	}
	if i.Process.BootID != boot {
		i.Life = Dead
		if err := i.recorded(f); err != nil || i.Exit != nil {
			return err
		}
		i.Exit = i.unknownExit(subreaper.ReasonHostRebooted, f.Now())
		return nil
	}
	seen, err := f.Witness(i.ID, i.Process)
	if errors.Is(err, subreaper.ErrGone) {
		i.Life = Dead
		return i.gone(f)
	}
	if err != nil {
		return err
	}
	if seen.Life == subreaper.Alive {
		i.Life, i.Ours = Alive, f.Child(i.Process.PID)
		return nil
	}
	i.Life = Dead
	if err := i.recorded(f); err != nil || i.Exit != nil && i.Exit.Source != subreaper.SourceUnknown {
		return err
	}
	switch {
	case i.Exit == nil && seen.Life == subreaper.Zombie && f.Role(seen.Parent):
		// Its parent is about to record it.
	case seen.Source != "": // better than an `unknown` on record, too: the pair had no pidfd in time, and we had
		i.Exit = &subreaper.Exit{Instance: i.ID, Process: i.Process, Status: seen.Status, Source: seen.Source, FinishedAt: f.Now()}
	case seen.Life == subreaper.Reaped && i.Exit == nil:
		return i.gone(f)
	}
	return nil
}

// gone judges a process of which nothing is left to ask. Where there is an instance file the guard answers for it: it
// may hold a pidfd that was opened in time, and it records `unknown` if not. Where there is none nobody ever will.
func (i *Instance) gone(f Facts) error {
	if err := i.recorded(f); err != nil || i.Exit != nil {
		return err
	}
	_, err := f.Launched(i.ID)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, subreaper.ErrDamaged) {
		i.Exit = i.unknownExit(subreaper.ReasonUnseen, f.Now())
		return nil
	}
	return err
}

// recorded reads the exit file. One that is damaged, or about another process, keeps the pair from writing this one's, so
// nobody will know.
func (i *Instance) recorded(f Facts) error {
	exit, err := f.Recorded(i.ID)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, subreaper.ErrDamaged), err == nil && exit.Process != i.Process:
		i.Exit = i.unknownExit(ReasonDamagedRecord, f.Now())
		return nil
	case err != nil:
		return fmt.Errorf("exit file: %w", err)
	}
	i.Exit = &exit
	return nil
}

// ReasonDamagedRecord is the reason of an `unknown` whose exit file cannot be understood.
const ReasonDamagedRecord = "DamagedRecord"

func (i *Instance) unknownExit(reason string, now time.Time) *subreaper.Exit {
	return &subreaper.Exit{Instance: i.ID, Process: i.Process, Source: subreaper.SourceUnknown, Reason: reason, FinishedAt: now}
}
