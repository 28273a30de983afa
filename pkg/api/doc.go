// Package api answers how others ask a running reconciler: HTTP and JSON over a unix socket.
//
//	CLI, programs -- Client --socket--> Server -- routes (one table) --> Backend
//	                                                                       |
//	                              watches -- Hub, renders once a change ---+
//	                                                                       |
//	            CLI with no daemon ----------------------------------> Reader -- store, observe, log files
//
// The types in types.go are a stable interface: scripts read them. Nothing in them is left out when it is empty; what
// does not apply is null.
//
// The server decides nothing about containers. It knows who asks (SO_PEERCRED) and whether they may, and it hands the
// question to a [Backend]: [Node] in the daemon. [Reader] is the half of Node that only reads, and it reads a store's
// copy just as well, so that `reconciler get` answers with the daemon down.
//
// The trap: whoever may open the socket may read. Its mode and group are the gate for readers, see [Listen]; the server
// itself only tells root from everybody else, and only root may change anything, read logs or see the values of
// environment variables, where secrets live.
package api
