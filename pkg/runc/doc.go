// Package runc is the command line of an OCI runtime as Go: runc's, which crun shares. It answers how the runtime is
// called and what its answers mean; it knows nothing of restarts, and keeps no process of its own.
//
//	                                         paused
//	                                   Pause ^    v Resume
//	Runtime --Create--> Container --Start--> running --Kill--> stopped --Delete--> gone
//	   |                    |
//	   List, Container(id)  State, Init, Processes, Update, Wait
//	                        Exec --> ExecProcess --Wait--> its own exit status
//
// Who becomes the parent of a container's init decides who learns its exit status. "create" starts init and exits, so
// init falls to the nearest subreaper above. There are two ways to use this package:
//
//   - a program calls SetSubreaper once, then Create and Wait: init is its own child;
//   - a program lets another process run the create: CreateCommand makes the whole command, Command.Err explains its
//     exit, and Container(id) drives what came of it.
//
// Every call of the runtime has a time limit, a JSON log of its own, absolute paths, and an id and signal validated here:
// crun accepts "a/b" as an id and reports success for a signal it does not know. Success is checked where that is cheap,
// see ErrNoEffect, and an error is the same one from every runtime: runc 1.1.5, runc 1.5.2 and crun 1.8.1 pass the same
// matrix of errors. Where a runtime reports success of what it cannot have done the state is looked at first, see Pause.
//
// Standard streams are files that the caller gives, or Connections that are relayed: over pipes by a PipeRelay, or over a
// terminal by a TtyRelay, which a bundle with process.terminal gets in any case.
//
//	Connections.Stdin  --> pipe or terminal --> process
//	Connections.Stdout <-- pipe or terminal <-- process     an end of one direction is passed on, and ends no other
//
// A container's may be replaced or closed until Start. At the end the order is: the process has ended and is reaped; what
// else could hold its streams open is killed, if the container has no pid namespace of its own; what was written is passed
// on to the last byte; the connections are closed. Of a process by Exec the children are let live, and what they write
// after its end is not waited for.
//
// The trap: "delete", forced or not, of a container whose state file is missing removes its directory and leaves its
// processes and cgroup behind (runc 1.1.5 to 1.5.2). Kill what is in the cgroup first if that may be the case.
package runc
