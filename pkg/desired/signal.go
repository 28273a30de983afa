package desired

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Real-time signals as signal(7) numbers them for programs; the two below belong to the C library's threads.
const (
	rtMin = 34
	rtMax = 64
)

// ParseSignal reads a signal as a user writes it: a name with or without SIG (SIGTERM, term, SIGRTMIN+3, RTMAX-1), or a
// number from 1 to 64.
func ParseSignal(s string) (syscall.Signal, error) {
	if number, err := strconv.Atoi(s); err == nil {
		return numbered(s, number)
	}
	name := strings.TrimPrefix(strings.ToUpper(s), "SIG")
	if sig, ok := realTime(name); ok {
		return sig, nil
	}
	if sig := unix.SignalNum("SIG" + name); sig != 0 {
		return sig, nil
	}
	if near := suggest("SIG"+name, signalNames()); near != "" {
		return 0, fmt.Errorf("no such signal: did you mean %s?", near)
	}
	return 0, errors.New("no such signal: write a name such as SIGTERM, or a number from 1 to 64")
}

func signalNames() []string {
	var names []string
	for sig := range syscall.Signal(rtMin) {
		if name := SignalName(sig); name != "" {
			names = append(names, name)
		}
	}
	return names
}

func numbered(text string, number int) (syscall.Signal, error) {
	switch {
	case text != strconv.Itoa(number):
		return 0, errors.New("write the number of a signal without signs and leading zeros")
	case number < 1 || number > rtMax:
		return 0, fmt.Errorf("no such signal: the numbers are 1 to %d", rtMax)
	case SignalName(syscall.Signal(number)) == "":
		return 0, fmt.Errorf("signal %d belongs to the C library: write a name such as SIGTERM", number)
	}
	return syscall.Signal(number), nil
}

// realTime reads RTMIN, RTMIN+n, RTMAX and RTMAX-n.
func realTime(name string) (syscall.Signal, bool) {
	from, offset, sign := rtMin, "", 1
	if rest, ok := strings.CutPrefix(name, "RTMIN"); ok {
		offset, ok = strings.CutPrefix(rest, "+")
		if !ok && rest != "" {
			return 0, false
		}
	} else if rest, ok := strings.CutPrefix(name, "RTMAX"); ok {
		from, sign = rtMax, -1
		offset, ok = strings.CutPrefix(rest, "-")
		if !ok && rest != "" {
			return 0, false
		}
	} else {
		return 0, false
	}
	n, err := strconv.ParseUint(offset, 10, 8)
	if name == "RTMIN" || name == "RTMAX" {
		n, err = 0, nil
	}
	number := from + sign*int(n)
	return syscall.Signal(number), err == nil && rtMin <= number && number <= rtMax
}

// SignalName is the canonical name of a signal, such as SIGTERM or SIGRTMIN+3; empty for a number without one.
// ParseSignal reads it back.
func SignalName(sig syscall.Signal) string {
	switch {
	case sig == rtMin:
		return "SIGRTMIN"
	case rtMin < sig && sig <= rtMax:
		return fmt.Sprintf("SIGRTMIN+%d", int(sig)-rtMin)
	}
	return unix.SignalName(sig)
}
