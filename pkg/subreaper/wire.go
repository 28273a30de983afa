package subreaper

import (
	"path/filepath"
	"syscall"
	"time"
)

// Process identifies one process for good: pids are reused, the pair of pid and start time is not within one boot, and
// the boot id tells boots apart.
type Process struct {
	PID       int    `json:"pid"`
	StartTime uint64 `json:"startTime"` // clock ticks since boot: proc_pid_stat(5), field 22
	BootID    string `json:"bootID"`    // /proc/sys/kernel/random/boot_id
}

// Source says how an exit became known, in falling order of trust.
type Source string

const (
	SourceWaitid   Source = "waitid"   // the parent's own waitid(2)
	SourcePidfd    Source = "pidfd"    // PIDFD_INFO_EXIT, Linux 6.15
	SourceProcstat Source = "procstat" // proc_pid_stat(5) field 52 of a zombie
	SourceUnknown  Source = "unknown"  // nobody saw it; Exit.Reason says why
)

// Reasons of an exit whose Source is unknown.
const (
	ReasonHostRebooted = "HostRebooted" // the process belongs to an earlier boot
	ReasonUnseen       = "Unseen"       // dead and reaped by a stranger before anyone of ours held a pidfd of it
	ReasonForeignReap  = "ForeignReap"  // reaped by a stranger, on a kernel that does not tell the status afterwards
)

// Exit is the end of one instance's init process, as written to the exits directory.
type Exit struct {
	Instance   string             `json:"instance"`
	Process    Process            `json:"process"`
	Status     syscall.WaitStatus `json:"status"` // raw wait(2) status; means nothing if Source is unknown
	Source     Source             `json:"source"`
	Reason     string             `json:"reason,omitempty"` // why Source is unknown
	FinishedAt time.Time          `json:"finishedAt"`       // when the death was seen
}

// Instance is the commit of a launch, as written to the instances directory.
type Instance struct {
	ID      string  `json:"id"`
	Process Process `json:"process"`
}

// ValidID reports whether id may name an instance's files: letters, digits, dot, dash and underscore, no leading dot.
func ValidID(id string) bool {
	const maxID = 128 // with the longest suffix well below NAME_MAX
	for _, c := range []byte(id) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '-', c == '_':
		default:
			return false
		}
	}
	return id != "" && len(id) <= maxID && id[0] != '.'
}

// RunDir is the run directory; its methods name what the pair keeps there.
type RunDir string

func (d RunDir) InstancesDir() string       { return filepath.Join(string(d), "instances") }
func (d RunDir) Instance(id string) string  { return filepath.Join(d.InstancesDir(), id+".json") }
func (d RunDir) Launching(id string) string { return filepath.Join(d.InstancesDir(), id+".launching") }
func (d RunDir) ExitsDir() string           { return filepath.Join(string(d), "exits") }
func (d RunDir) Exit(id string) string      { return filepath.Join(d.ExitsDir(), id+".json") }
func (d RunDir) Socket() string             { return filepath.Join(string(d), "subreaper.sock") }
func (d RunDir) Log() string                { return filepath.Join(string(d), "subreaper.log") }

// LockPath names the file in the state directory whose flock(2) says whether a pair lives.
func LockPath(state string) string { return filepath.Join(state, "subreaper.lock") }

// The roles, as they stand in argv[1].
const (
	RoleGuard  = "guard"
	RoleReaper = "reaper"
)

// ExitLocked is the exit status of a guard that found the lock taken by another pair.
const ExitLocked = 3

// ProtocolVersion is compared in the handshake; a pair and a client of different versions do not talk.
const ProtocolVersion = 1

// Launch asks the reaper to run one command as its child. The command's exit must leave the pid of a new child of the
// reaper in PIDFile. Asking again for the same ID is safe: see Client.Launch.
type Launch struct {
	ID      string        `json:"id"`
	Args    []string      `json:"args"` // Args[0] is an absolute path
	Env     []string      `json:"env"`
	Dir     string        `json:"dir"`
	PIDFile string        `json:"pidFile"`
	Stdout  string        `json:"stdout"`  // appended to; created 0600, its directory 0700; never through a symlink
	Stderr  string        `json:"stderr"`  // may be the same path
	Timeout time.Duration `json:"timeout"` // nanoseconds; then the command is killed and the launch has failed

	// Again: it may have been asked for before. Then nothing is run any more: what is on file of the first time is the
	// answer, and where the files were wiped it is that the launch is lost.
	Again bool `json:"again,omitempty"`
}

// Hello is the reaper's side of the handshake.
type Hello struct {
	Protocol int    `json:"protocol"`
	Build    string `json:"build"` // identifies the binary, so that a client may ask for an upgrade in place
	Guard    int    `json:"guard"` // pid
	Reaper   int    `json:"reaper"`
	Held     int    `json:"held"` // instances without an exit record, and launches in flight

	// TellsExits: the kernel is known to tell how a process ended that somebody else has reaped.
	TellsExits bool `json:"tellsExits"`
}

// Request is what a client sends, one packet a connection. Without a Launch it asks for the Hello alone.
type Request struct {
	Protocol int     `json:"protocol"`
	Launch   *Launch `json:"launch,omitempty"`
}

// Reply is the answer to a Request, one packet. Hello stands in each one; a reader must expect to understand nothing
// else if Hello.Protocol is not its own. At most one of the others is set.
type Reply struct {
	Hello    Hello        `json:"hello"`
	Instance *Instance    `json:"instance,omitempty"`
	Lost     bool         `json:"lost,omitempty"`
	Failed   *LaunchError `json:"failed,omitempty"`
}

// MaxPacket bounds a packet in bytes; SOCK_SEQPACKET would take some 200 KiB by default.
const MaxPacket = 128 << 10
