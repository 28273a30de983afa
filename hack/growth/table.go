package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// numbers are what one kind of bundles led to.
type numbers struct {
	dropFew, dropMany           []time.Duration
	editAmongFew, editAmongMany []time.Duration
	getFew, getMany             []time.Duration
}

// row is one line of the table.
type row struct {
	what, many, few, result, limit string
	kept                           bool
}

// ratio demands that the median of many is at most limit times that of few.
func ratio(what string, many, few []time.Duration, limit float64) row {
	m, f := median(many), median(few)
	r := float64(m) / float64(f)
	return row{what, millis(m), millis(f), fmt.Sprintf("%.2fx", r), fmt.Sprintf("<= %gx", limit), r <= limit}
}

func median(d []time.Duration) time.Duration {
	d = slices.Sorted(slices.Values(d))
	return d[len(d)/2]
}

func millis(d time.Duration) string {
	return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond))
}

// show prints the table and says whether all bars were kept.
func show(out io.Writer, rows []row) bool {
	tw := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "MEDIANS\tMANY\tFEW\tRESULT\tLIMIT\tKEPT")
	kept := len(rows) > 0
	for _, r := range rows {
		verdict := "yes"
		if !r.kept {
			verdict, kept = "NO", false
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\n", r.what, r.many, r.few, r.result, r.limit, verdict)
	}
	tw.Flush()
	return kept
}
