package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// interruption is the cause of a context that a signal ended.
type interruption struct{ signal syscall.Signal }

func (i interruption) Error() string { return i.signal.String() }

// untilSignal is a context that SIGINT and SIGTERM end. Whoever ends by them is to be taken for ended by them: a shell
// that runs a script stops at 128+SIGINT, and goes on at any other status.
func untilSignal(parent context.Context) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		select {
		case s := <-signals:
			cancel(interruption{s.(syscall.Signal)})
		case <-ctx.Done():
		}
	}()
	return ctx, func() { signal.Stop(signals); cancel(nil) }
}

// whileRead runs a watch until nobody reads what it prints any more: it may have nothing to write for hours, by which it
// would notice that. Then the error is EPIPE.
func whileRead(cmd *cobra.Command, watch func() error) error {
	ctx, cancel := context.WithCancelCause(cmd.Context())
	defer cancel(nil)
	go func() {
		if err := unread(cmd.OutOrStdout()); err != nil {
			cancel(err)
		}
	}()
	cmd.SetContext(ctx)
	err := watch()
	if gone := context.Cause(ctx); errors.Is(gone, syscall.EPIPE) {
		return gone
	}
	return err
}

// unread returns EPIPE once the other end of a pipe or socket is closed, and nil at once for whatever has none.
func unread(w io.Writer) error {
	f, ok := w.(*os.File)
	if !ok {
		return nil
	}
	if info, err := f.Stat(); err != nil || info.Mode()&(os.ModeNamedPipe|os.ModeSocket) == 0 {
		return nil
	}
	for {
		end := []unix.PollFd{{Fd: int32(f.Fd())}}
		switch _, err := unix.Poll(end, -1); {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return nil // writing will tell
		case end[0].Revents&(unix.POLLERR|unix.POLLHUP) != 0:
			return syscall.EPIPE
		}
	}
}
