// Package pair is the program of guard and reaper: who holds the containers' processes, and sees each one's end.
//
// Both roles run one routine, and it is the same at start, after a death of the other, after a change of role and
// after an upgrade in place. Its state is the files below the run directory and what the kernel knows; a process that
// is replaced loses nothing but pidfds of other people's children, which it hands on in its arguments.
//
//	          any wake-up: a pidfd, SIGCHLD, a file in instances/, a client, a timer
//	                                   |
//	advance   launches whose command has ended are committed (launch.go)
//	scan      every instance file without an exit file is watched by pidfd, my child or not (scan.go)
//	settle    a watched process that died: record, THEN reap (settle.go)
//	reap      every other zombie at once: it would hold back the death of its pid namespace (scan.go)
//	role      guard: have one reaper; reaper: become the guard when it has died (role.go)
//
// What differs: the reaper alone accepts clients and forks commands; the guard alone writes records of processes that
// are not its children. Children move only up: reaper, guard, then pid 1.
//
// One epoll loop on the main thread does all of it. Every fork and every execve is made there, so no descriptor can
// leak into a child between the two; prctl and fork must be of one thread anyway. The traps that shaped the code are
// told where they are avoided.
package pair
