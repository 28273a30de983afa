// Package logs answers what a container wrote: it reads the logs that the relay keeps, by package cri's spelling and
// order, and those of older attempts, which are the container's bytes themselves.
//
//	1.log.1  1.log.2  1.log  |  2.log       a Reader goes from left to right
//	                     ^
//	                     moved out of the way while it is read: it is read to its end, then what took its place
//
// It needs nobody but the files. Reading holds nothing up: a reader that is slower than the container loses what was
// removed meanwhile, and goes on with what is there.
package logs
