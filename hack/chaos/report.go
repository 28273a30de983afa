package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// tally counts what was injected and how long it took to heal.
type tally struct {
	hits  map[string]map[victim]int // by what was under way
	heals map[victim][]time.Duration
}

func newTally() tally {
	return tally{hits: map[string]map[victim]int{}, heals: map[victim][]time.Duration{}}
}

func (t tally) kill(v victim, where string) {
	if t.hits[where] == nil {
		t.hits[where] = map[victim]int{}
	}
	t.hits[where][v]++
}

func (t tally) healed(v victim, took time.Duration) { t.heals[v] = append(t.heals[v], took) }

// report prints what was done and what the containers and the records said.
func report(out io.Writer, t tally, e evidence, took time.Duration) {
	victims := []victim{initVictim, controllerVictim, guardVictim, reaperVictim}
	tw := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprint(tw, "KILLED")
	for _, v := range victims {
		fmt.Fprintf(tw, "\t%s", v)
	}
	fmt.Fprintln(tw)
	for _, where := range slices.Sorted(maps.Keys(t.hits)) {
		fmt.Fprint(tw, where)
		for _, v := range victims {
			fmt.Fprintf(tw, "\t%d", t.hits[where][v])
		}
		fmt.Fprintln(tw)
	}
	for _, row := range []struct {
		name string
		of   float64
	}{{"healed in, median", 0.5}, {"healed in, slowest", 1}} {
		fmt.Fprint(tw, row.name)
		for _, v := range victims {
			fmt.Fprintf(tw, "\t%s", quantile(t.heals[v], row.of))
		}
		fmt.Fprintln(tw)
	}
	tw.Flush()
	sources := map[string]int{}
	for _, versions := range e.records {
		sources[versions[len(versions)-1].Source]++
	}
	fmt.Fprintf(out, "%d kills, %d starts logged, %d exits recorded", len(e.kills), strings.Count(e.log, "start "), len(e.records))
	for _, s := range slices.Sorted(maps.Keys(sources)) {
		fmt.Fprintf(out, ", %d by %s", sources[s], s)
	}
	fmt.Fprintf(out, ", in %s\n", took.Round(time.Second))
}

// quantile of some durations; "-" of none.
func quantile(d []time.Duration, q float64) string {
	if len(d) == 0 {
		return "-"
	}
	slices.Sort(d)
	return d[int(q*float64(len(d)-1))].Round(time.Millisecond).String()
}
