// Command reconciler keeps the containers of one node as their manifests want them: `reconciler run` is the controller,
// every other verb is a client of it.
//
// A verb is one file, cmd_<verb>.go. What several verbs need is in paths.go (where things are), reading.go (a daemon, or
// its store), selection.go (which containers), verb.go (asking for a change of each), manifests.go (what -f names),
// print.go (json, yaml), columns.go and text.go (tables, and words for people). They hold no logic of their own: what a
// verb asks and what it may say is pkg/api.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit statuses. They are told in the help: scripts depend on them.
const (
	exitOK         = 0
	exitFailure    = 1
	exitUsage      = 2
	exitBrokenPipe = 128 + int(syscall.SIGPIPE)
	exitTimedOut   = 124 // that of timeout(1)
)

func main() {
	// A client lives for milliseconds, in which collecting costs more than it frees; a daemon decides for itself.
	debug.SetGCPercent(400)
	// A pipe closed by its reader is then an error like any other, and not the end in the middle of something.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	ctx, stop := untilSignal(context.Background())
	status := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// run is the whole program; it returns the exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRootCommand()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	interrupted, isInterrupted := errors.AsType[interruption](context.Cause(ctx))
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, syscall.EPIPE):
		return exitBrokenPipe // nobody is left to tell
	case errors.Is(err, context.Canceled) && isInterrupted:
		return 128 + int(interrupted.signal)
	case errors.Is(err, errTold):
		return exitFailure
	}
	complain(stderr, err)
	if _, ok := errors.AsType[usageError](err); ok {
		fmt.Fprintf(stderr, "See `%s --help`.\n", cmd.CommandPath())
		return exitUsage
	}
	if _, ok := errors.AsType[timedOut](err); ok {
		return exitTimedOut
	}
	return exitFailure
}

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "reconciler",
		Short: "Keep the containers of this node as their manifests want them",
		Long: `Keep the containers of this node as their manifests want them.

` + "`reconciler run`" + ` is the controller. The other verbs ask it over its socket; those that
only read answer from its store when it is down, and say so.

Exit status: 0 done; 1 failed, refused, invalid or not found; 2 wrong usage; 124 not within the
time given; 130 interrupted by SIGINT; 141 the reader of the output has gone away; 143 ended by
SIGTERM.`,
		Args:          noVerb,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	addPathFlags(root.PersistentFlags())
	root.AddCommand(
		newRunCommand(),
		newGetCommand(),
		newDescribeCommand(),
		newExitsCommand(),
		newEventsCommand(),
		newLogsCommand(),
		newPlanCommand(),
		newSourcesCommand(),
		newValidateCommand(),
		newApplyCommand(),
		newDeleteCommand(),
		newStartCommand(),
		newStopCommand(),
		newRestartCommand(),
		newPauseCommand(),
		newResumeCommand(),
		newKillCommand(),
		newWaitCommand(),
		newDownCommand(),
		newUpCommand(),
		newVersionCommand(),
		newCompletionCommand(),
	)
	return root
}

// noVerb is reached by what is no verb.
func noVerb(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	err := fmt.Errorf("unknown verb %q", strings.TrimPrefix(cmd.CommandPath()+" "+args[0], cmd.Root().Name()+" "))
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		err = fmt.Errorf("%w: did you mean %s?", err, strings.Join(near, " or "))
	}
	return usageError{err}
}

// usageError is a command line that means nothing.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// oneContainer is the argument of a verb about a single one.
func oneContainer(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usagef("%s needs the name of one container", cmd.Name())
	}
	return nil
}

// usage makes a wrong number of arguments a usageError.
func usage(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError{err}
		}
		return nil
	}
}

// timedOut is what a verb was waiting for, for as long as it was told to.
type timedOut struct{ error }

func (e timedOut) Unwrap() error { return e.error }

// errTold ends a verb whose errors were all told already.
var errTold = errors.New("told already")

// complain tells an error, one line for each of its own.
func complain(w io.Writer, err error) {
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintf(w, "reconciler: %s\n", clean(line))
	}
}
