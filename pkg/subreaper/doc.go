// Package subreaper answers who holds the containers' processes: the wire and file types, the client of the pair, and
// what the kernel still tells about a process that is not one's child.
//
// A guard and a reaper, two processes of cmd/reconciler-subreaper, hold every container's init between them:
//
//	controller --launch--> reaper --fork--> runc create --> init          (init becomes the reaper's child)
//	                         |                               |
//	                         +--- waitid, record, reap <-----+
//	guard: parent of the reaper. It inherits what the reaper leaves and starts a new one; when the guard dies the
//	reaper becomes the guard. Package pair is that program.
//
// What they know is in files below the run directory, and nowhere else:
//
//	instances/<id>.launching  made before the fork: this id is spent
//	instances/<id>.json       Instance, made before the reply: the launch is committed
//	exits/<id>.json           Exit, made before the reap: the end is on record
//
// Only the pair makes these files, and only the controller deletes them: once the exit is committed and the process is
// reaped, the instance file FIRST, else an heir that finds it without a record writes another one.
//
// The package imports nothing of this project, and neither net nor os/exec: the program that must not die links it.
package subreaper
