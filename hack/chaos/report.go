package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"reconciler.dev/reconciler/hack/internal/scratch"
)

// tally counts what was injected, what came of it, and how long the world took to settle.
type tally struct {
	faults        map[string]*score
	refused       map[string]string // why the machine does not let a fault be made
	rounds        int
	first, latest map[string]scratch.Usage // of our processes
}

type score struct {
	injected, survived int
	broken             map[class]int
	settled            []time.Duration
}

func newTally() tally {
	t := tally{faults: map[string]*score{}, refused: map[string]string{}}
	for _, f := range allFaults() {
		t.faults[f.name] = &score{broken: map[class]int{}}
	}
	return t
}

func (t *tally) unable(name string, err error) { t.refused[name] = err.Error() }

// round counts one round. What was broken in it is laid to each of its faults.
func (t *tally) round(injected []string, took time.Duration, broken []complaint) {
	t.rounds++
	for _, name := range injected {
		s := t.faults[name]
		s.injected++
		s.settled = append(s.settled, took)
		if len(broken) == 0 {
			s.survived++
		}
		for _, c := range broken {
			s.broken[c.class]++
		}
	}
}

func (t *tally) before(ctx context.Context, k *killer) (err error) {
	t.first, err = k.usage(ctx)
	return err
}

func (t *tally) after(ctx context.Context, k *killer) (err error) {
	t.latest, err = k.usage(ctx)
	return err
}

func (k *killer) usage(ctx context.Context) (map[string]scratch.Usage, error) {
	ours, err := k.ourProcesses(ctx)
	used := map[string]scratch.Usage{}
	for who, p := range ours {
		used[who] = p.Usage()
	}
	return used, err
}

// total of all faults.
func (t *tally) total() score {
	all := score{broken: map[class]int{}}
	for _, s := range t.faults {
		all.injected += s.injected
		all.survived += s.survived
		for c, n := range s.broken {
			all.broken[c] += n
		}
		all.settled = append(all.settled, s.settled...)
	}
	return all
}

var columns = []string{"fault", "injected", "survived", "lost", "doubled", "wrong", "leaked", "other", "settled in, median", "worst"}

func (s score) cells(name string) []string {
	cells := []string{name, fmt.Sprint(s.injected), fmt.Sprint(s.survived)}
	for _, c := range []class{lost, doubled, wrong, leaked, other} {
		cells = append(cells, fmt.Sprint(s.broken[c]))
	}
	return append(cells, quantile(s.settled, 0.5), quantile(s.settled, 1))
}

// report is the tables, as Markdown, which a terminal shows well enough when the columns are aligned.
func (k *killer) report(took time.Duration) string {
	out := new(strings.Builder)
	rows := [][]string{columns}
	for _, f := range allFaults() {
		rows = append(rows, k.tally.faults[f.name].cells(f.name))
	}
	table(out, append(rows, k.tally.total().cells("all")))
	for _, name := range slices.Sorted(maps.Keys(k.tally.refused)) {
		fmt.Fprintf(out, "\n%s: %s\n", name, k.tally.refused[name])
	}
	fmt.Fprintln(out)
	rows = [][]string{{"process", "MiB before", "after", "descriptors before", "after", "threads before", "after"}}
	for _, who := range slices.Sorted(maps.Keys(k.tally.first)) {
		a, b := k.tally.first[who], k.tally.latest[who]
		mib := func(kib int) string { return fmt.Sprintf("%.1f", float64(kib)/1024) }
		rows = append(rows, []string{who, mib(a.Resident), mib(b.Resident), fmt.Sprint(a.Descriptors), fmt.Sprint(b.Descriptors),
			fmt.Sprint(a.Threads), fmt.Sprint(b.Threads)})
	}
	table(out, rows)
	fmt.Fprintf(out, "\n%d rounds in %s; %d starts told by %d containers, %d exits on record:", k.tally.rounds,
		took.Round(time.Second), len(k.log.lives), len(kinds), len(k.records.seen))
	sources := map[string]int{}
	for _, versions := range k.records.seen {
		sources[told(versions).Source]++
	}
	for i, s := range slices.Sorted(maps.Keys(sources)) {
		fmt.Fprintf(out, "%s %d by %s", map[bool]string{true: ","}[i > 0], sources[s], s)
	}
	fmt.Fprintln(out, ".")
	if n := k.unknowable(); n > 0 {
		fmt.Fprintf(out, "Not counted: %d instances whose store and whose files were both taken away while they lived.\n", n)
	}
	return out.String()
}

// unknowable counts the instances that are excused from having a record, and have none.
func (k *killer) unknowable() (n int) {
	for id, excused := range k.excused {
		if excused && len(k.records.seen[id]) == 0 {
			n++
		}
	}
	return n
}

// table prints rows as a Markdown table with aligned columns.
func table(out io.Writer, rows [][]string) {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], len(cell))
		}
	}
	for n, row := range rows {
		for i, cell := range row {
			fmt.Fprintf(out, "| %-*s ", widths[i], cell)
		}
		fmt.Fprintln(out, "|")
		if n == 0 {
			for _, width := range widths {
				fmt.Fprintf(out, "|-%s-", strings.Repeat("-", width))
			}
			fmt.Fprintln(out, "|")
		}
	}
}

// quantile of some durations; "-" of none.
func quantile(d []time.Duration, q float64) string {
	if len(d) == 0 {
		return "-"
	}
	slices.Sort(d)
	return d[int(q*float64(len(d)-1))].Round(time.Millisecond).String()
}
