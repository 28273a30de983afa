// Package cgroup answers what still belongs to an instance when its runtime does not say: which processes are in its
// control group, how to end them, whether they are frozen, and whether the OOM killer struck there.
//
// An instance's cgroup is <parent>/<instance>, the same path in every hierarchy the machine has: one per controller in
// cgroup v1, a single one in v2, both in hybrid mode. The runtime makes it; what a runtime that was killed leaves behind
// is removed here, since no runtime does that.
package cgroup
