// Package relay is the program that carries what containers write to their logs: each byte once, whoever is killed.
//
//	container --FIFO--> splice --> journal --> lines --> <logs>/<name>/<attempt>.log
//	                                 |                      |
//	                                 +---- state: 64 bytes -+     one pwrite commits both ends
//
// It has no state but files, no signal handler and nothing to save: it is stopped, upgraded and crashed by SIGKILL.
// What makes that safe:
//
//   - splice(2) into a regular file that is cut short has consumed exactly what the file grew by. So the journal's size
//     is the count of what was taken, and nothing has to be written down before or after.
//   - A batch begins by writing its time into the state and ends by taking it out. In between nothing is spliced, so a
//     successor that finds a time finds the same journals too, and makes the same bytes of them at the same place of the
//     log. It writes over what was half written; no log ever shrinks, and whoever follows it sees nothing change.
//   - A batch is written in chunks of whole lines. Each commit moves on the place in the log and those in the journals.
//   - Where there is no room nothing is committed: the journal's next splice waits, the FIFO fills, the container blocks.
//
// Files of an instance, below <run>/fifos; <id> is <name>.<attempt>:
//
//	<id>.stdout, <id>.stderr             FIFOs, made by subreaper.MakeOutput, held by the container, the relay, and one more
//	<id>.stdout.journal, .stderr.journal taken and not yet in the log; what is in the log is freed
//	<id>.state                           see state.go
//	<id>.json                            the log's bound: here as long as the output is not complete
//
// One relay serves all containers from one epoll loop. Each pass of a container takes a bounded amount; one that writes
// little at a time is looked at in growing intervals, so that it costs little. One relay lives at a time: a lock in the
// state directory holds that, and who finds it taken kills the holder first (lock.go).
package relay
