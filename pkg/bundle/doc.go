// Package bundle answers what config.json an instance runs from. The user's bundle is never written to: each instance has
// a derived config.json of its own, a pure function of the bundle's and of what is wanted, so that a running instance is
// pinned to exactly what it was made from.
//
//	<bundle>/config.json --Load--> bytes --Inspect--> Facts: what a planner must know
//	                                 |
//	                    Params --> Derive --> <run>/bundles/<instance>/config.json
//
// Derive patches the JSON tree and nothing but these: the paths that a runtime takes from the directory of the config.json
// it reads, made absolute (root.path, the sources of bind mounts, the paths of hooks that run on the host, and
// linux.seccomp.listenerPath), linux.cgroupsPath, linux.resources, process.args, env, cwd, terminal and oomScoreAdj, and
// the annotations below dev.reconciler. All else is carried over, whether this program knows it or not, and no digit of a
// number is lost. Not touched in particular: namespaces and their paths, capabilities, the options of mounts, the sources
// of those that are no bind mounts (such as an overlay's lowerdir), hostname, and the layout of the rootfs. Hooks are given
// the derived bundle's path in the state, and as their working directory where the runtime's is the bundle.
//
// A Watcher is Load with a memory: it tells which bundles no longer hold what was read.
//
// The trap is that the runtimes match the names of fields without regard to case: an evil twin such as
// linux.cgroupspath would win over the one that was set here. It is refused.
package bundle
