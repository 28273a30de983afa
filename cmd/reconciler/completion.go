package main

import (
	"context"
	"io"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"reconciler.dev/reconciler/pkg/api"
	"reconciler.dev/reconciler/pkg/desired"
)

// completionPatience is how long a shell's user is kept waiting for names.
const completionPatience = time.Second

// completeNames completes the names of containers, as far as somebody knows them: a shell is told of no errors.
func completeNames(cmd *cobra.Command, given []string, _ string) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(cmd.Context(), completionPatience)
	defer cancel()
	cmd.SetContext(ctx)
	cmd.SetErr(io.Discard)
	reading, closer, err := readingOf(cmd)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer closer.Close()
	list, err := reading.Brief(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return namesBut(list.Items, given), cobra.ShellCompDirectiveNoFileComp
}

func namesBut(list []api.Container, given []string) (names []string) {
	taken := map[string]bool{}
	for _, name := range given {
		taken[name] = true
	}
	for _, c := range list {
		if !taken[c.Metadata.Name] {
			names = append(names, cobra.CompletionWithDesc(c.Metadata.Name, string(c.Status.Phase)))
		}
	}
	return names
}

// oneName completes a verb that takes a single name.
func oneName(cmd *cobra.Command, given []string, word string) ([]string, cobra.ShellCompDirective) {
	if len(given) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return completeNames(cmd, given, word)
}

func completeSignals(*cobra.Command, []string, string) (names []string, _ cobra.ShellCompDirective) {
	for number := range syscall.Signal(65) {
		if name := desired.SignalName(number); name != "" {
			names = append(names, name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func completeGoals(*cobra.Command, []string, string) (goals []string, _ cobra.ShellCompDirective) {
	for _, p := range api.Phases {
		goals = append(goals, "phase="+string(p))
	}
	for _, c := range api.Conditions {
		goals = append(goals, "condition="+c)
	}
	return append(goals, "deleted"), cobra.ShellCompDirectiveNoFileComp
}
