package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"reconciler.dev/reconciler/pkg/api"
	"reconciler.dev/reconciler/pkg/desired"
)

// selection says which containers a verb is about: those named, those that -l chooses, or all of them.
type selection struct {
	selector desired.Selector
	chosen   bool // by -l
	all      bool
}

func (s *selection) String() string { return s.selector.String() }
func (s *selection) Type() string   { return "selector" }

func (s *selection) Set(text string) (err error) {
	s.selector, err = desired.ParseSelector(text)
	s.chosen = true
	return err
}

// addSelection adds -l to a verb, and --all where a verb without names would be a slip.
func addSelection(cmd *cobra.Command, all bool) *selection {
	s := &selection{}
	cmd.Flags().VarP(s, "selector", "l", "those whose labels match, as in tier=front,!canary,zone in (a,b)")
	if all {
		cmd.Flags().BoolVar(&s.all, "all", false, "all of them")
	}
	cmd.ValidArgsFunction = completeNames
	return s
}

// check refuses what names more than one set of containers, and, if required, what names none.
func (s *selection) check(cmd *cobra.Command, names []string, required bool) error {
	ways := 0
	for _, given := range []bool{len(names) > 0, s.chosen, s.all} {
		if given {
			ways++
		}
	}
	all := ""
	switch {
	case cmd.Flags().Lookup("all") != nil:
		all = " or --all"
	case cmd.Flags().Lookup("filename") != nil:
		all = " or -f FILE"
	}
	if err := checkNames(names); err != nil {
		return err
	}
	switch {
	case ways > 1:
		return usagef("%s takes names, -l%s: one of them", cmd.Name(), strings.ReplaceAll(all, " or ", ", "))
	case ways == 0 && required:
		return usagef("%s needs the name of a container, or -l SELECTOR%s", cmd.Name(), all)
	}
	return nil
}

// checkNames refuses what can be no container's name, above all an empty variable of a script.
func checkNames(names []string) error {
	for _, name := range names {
		if !desired.ValidName(name) {
			return usagef("%q is not a container's name: 1 to 63 of a-z, 0-9 and dash, with no dash at either end", name)
		}
	}
	return nil
}

// matches reports whether a container is one of those that are meant; names is empty or what was named.
func (s *selection) matches(c *api.Container, names map[string]bool) bool {
	return (len(names) == 0 || names[c.Metadata.Name]) && s.selector.Matches(c.Metadata.Labels)
}

// find are the containers that are meant: those named, else those that match, whole or brief. What could not be had is in
// the error, the others are returned beside it.
func (s *selection) find(cmd *cobra.Command, reading api.Reading, names []string, whole bool) ([]api.Container, error) {
	if len(names) > 0 {
		return namedContainers(cmd, reading, names)
	}
	list := reading.Brief
	if whole {
		list = reading.Containers
	}
	all, err := list(cmd.Context())
	if err != nil {
		return nil, err
	}
	var found []api.Container
	for _, c := range all.Items {
		if s.matches(&c, nil) {
			found = append(found, c)
		}
	}
	return found, told(all.Problems)
}

func namedContainers(cmd *cobra.Command, reading api.Reading, names []string) ([]api.Container, error) {
	var found []api.Container
	var errs []error
	for _, name := range names {
		c, err := reading.Container(cmd.Context(), name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		found = append(found, *c)
	}
	return found, errors.Join(errs...)
}

// none tells that nothing is meant, which is no failure.
func (s *selection) none(cmd *cobra.Command) {
	err := errors.New("there are no containers")
	if s.chosen {
		err = fmt.Errorf("no container matches %s", s.selector)
	}
	complain(cmd.ErrOrStderr(), err)
}

// told are problems that came with a list, as an error of one line each.
func told(problems []string) error {
	var errs []error
	for _, p := range problems {
		errs = append(errs, errors.New(p))
	}
	return errors.Join(errs...)
}
