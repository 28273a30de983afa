// Command oldkernel runs a command as if the kernel were older than 6.15: to it and to all that it starts a pidfd does
// not tell how a process ended that somebody else has reaped. A filter of system calls answers that one ioctl; nothing
// of the product knows of it.
//
//	oldkernel reconciler run --root /tmp/here
package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: oldkernel COMMAND [ARGUMENT...]")
		os.Exit(2)
	}
	fmt.Fprintln(os.Stderr, "oldkernel:", become(os.Args[1:]))
	os.Exit(1)
}

// become returns only if it fails.
func become(command []string) error {
	path, err := exec.LookPath(command[0])
	if err != nil {
		return err
	}
	runtime.LockOSThread() // a filter is a thread's, and execve keeps that of the thread that calls it
	if err := hide(); err != nil {
		return fmt.Errorf("hide PIDFD_GET_INFO: %w", err)
	}
	return fmt.Errorf("%s: %w", path, unix.Exec(path, command, os.Environ()))
}

// hide makes PIDFD_GET_INFO, of whatever size its argument is, an ioctl that no file knows. As root it needs no
// no_new_privs, which would change what containers may do.
func hide() error {
	const (
		number, request = 0, 24  // of struct seccomp_data: nr, and the lower half of args[1] (little endian)
		magic           = 0xffff // what is left of a request without its direction and size: type and number
	)
	load := func(offset uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
	}
	otherwise := func(k uint32, skip uint8) unix.SockFilter { // goes on if it is k
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: k, Jf: skip}
	}
	answer := func(k uint32) unix.SockFilter { return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: k} }
	filter := []unix.SockFilter{
		load(number),
		otherwise(unix.SYS_IOCTL, 4),
		load(request),
		{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: magic},
		otherwise(unix.PIDFD_GET_INFO&magic, 1),
		answer(unix.SECCOMP_RET_ERRNO | uint32(unix.ENOTTY)),
		answer(unix.SECCOMP_RET_ALLOW),
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	// Not by unix.Prctl: a pointer that is a uintptr already may be one to where a stack has been.
	_, _, errno := unix.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return errno
	}
	return nil
}
