// Package cri answers what a log looks like on disk: how its lines are spelled, how its files are called and which of
// them comes first. The relay writes by it and package logs reads by it, so the two cannot disagree.
//
//	<logs>/<name>/<attempt>.log.<generation>   what was moved out of the way, the lowest generation first
//	<logs>/<name>/<attempt>.log                what is written now
//
//	2026-01-02T15:04:05.000000000Z stdout F one whole line
//	2026-01-02T15:04:05.000000000Z stderr P the first part of a long line, or a last line without its newline
//
// The format is that of the Kubernetes container runtime interface, which log shippers read without being told. A
// generation belongs to a file for good: names never shift, so nobody who follows a file loses it.
package cri
