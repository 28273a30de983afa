package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// row is one line of the table.
type row struct {
	what, ours, ideal, result, limit string
	kept                             bool
}

// ratio demands that our median is at most limit times the ideal's.
func ratio(what string, ours, ideal []time.Duration, limit float64) row {
	o, i := median(ours), median(ideal)
	r := float64(o) / float64(i)
	return row{what, millis(o), millis(i), fmt.Sprintf("%.2fx", r), fmt.Sprintf("<= %.2fx", limit), r <= limit}
}

// excess demands that our median is at most limit longer than the ideal's.
func excess(what string, ours, ideal []time.Duration, limit time.Duration) row {
	o, i := median(ours), median(ideal)
	return row{what, millis(o), millis(i), "+" + millis(o-i), "<= +" + millis(limit), o-i <= limit}
}

// rate demands that our rate is at least limit times the ideal's.
func rate(what string, ours, ideal []time.Duration, limit float64) row {
	o, i := median(ours), median(ideal)
	r := float64(i) / float64(o)
	perSecond := func(d time.Duration) string { return fmt.Sprintf("%.1f/s", many/d.Seconds()) }
	return row{what, perSecond(o), perSecond(i), fmt.Sprintf("%.2fx", r), fmt.Sprintf(">= %.2fx", limit), r >= limit}
}

// amount demands that a number is at most limit.
func amount(what string, n float64, unit string, limit float64) row {
	return row{what, fmt.Sprintf("%.2f %s", n, unit), "-", "-", fmt.Sprintf("<= %g %s", limit, unit), n <= limit}
}

func median(d []time.Duration) time.Duration {
	d = slices.Sorted(slices.Values(d))
	return d[len(d)/2]
}

func millis(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}

// show prints the table and says whether all limits were kept.
func show(out io.Writer, rows []row) bool {
	tw := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "MEDIANS\tOURS\tIDEAL\tRESULT\tLIMIT\tKEPT")
	kept := len(rows) > 0
	for _, r := range rows {
		verdict := "yes"
		if !r.kept {
			verdict, kept = "NO", false
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\n", r.what, r.ours, r.ideal, r.result, r.limit, verdict)
	}
	tw.Flush()
	return kept
}
