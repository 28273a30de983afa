// Package store answers what must survive a crash: what is wanted, what was begun, what ended and how. It keeps typed
// records in one bbolt file, or in memory for simulations: the rules are the same code, on a small tree of buckets
// (tree.go). It never decides, and no type of bbolt leaves it.
//
//	callers --Change--> one writer --group--> one bbolt transaction --fsync--> every caller of the group returns
//	readers <--decoded copies-- short read transactions
//
// Promises: a Commit is on disk when it returns; its change is there whole or not at all; an attempt has one exit record,
// whoever reports it and however often; an attempt's number is never given out again, not even after its name was
// removed and came back.
//
// The trap is bbolt's memory map. A value read is only good until its transaction ends, a read transaction that stays
// open keeps a growing file from being mapped anew and so blocks the writer for good, and a damaged page is a panic or a
// SIGBUS. Hence readers here copy first and decode after, iterators hold no transaction while the caller's loop runs,
// and a file is verified page by page before bbolt may touch it.
package store
