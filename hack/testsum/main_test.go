package main

import (
	"strings"
	"testing"
)

func TestSummarize(t *testing.T) {
	tests := []struct {
		name, in string
		want     totals
		prints   []string
	}{
		{
			"a test and its subtest pass",
			`{"Action":"output","Package":"p","Test":"TestA","Output":"noise\n"}
{"Action":"pass","Package":"p","Test":"TestA/b"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p","Elapsed":1.25}
`,
			totals{passed: 2},
			[]string{"ok   p 1.2s", "2 passed, 0 failed, 0 skipped"},
		},
		{
			"the output of a failure is shown, and so is the reason of a skip",
			`{"Action":"output","Package":"p","Test":"TestA","Output":"boom\n"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestB","Output":"capability Root missing\n"}
{"Action":"skip","Package":"p","Test":"TestB"}
{"Action":"fail","Package":"p","Elapsed":0}
`,
			totals{failed: 1, skipped: 1, broken: 1},
			[]string{"--- FAIL p TestA\nboom", "--- SKIP p TestB\ncapability Root missing", "0 passed, 1 failed, 1 skipped"},
		},
		{
			"a package that does not build fails no test, yet it fails",
			`{"ImportPath":"p","Action":"build-output","Output":"x.go:1:1: nonsense\n"}
{"Action":"fail","Package":"p","Elapsed":0}
`,
			totals{broken: 1},
			[]string{"x.go:1:1: nonsense", "FAIL p", "0 passed, 1 failed, 0 skipped"},
		},
		{
			"a test that never ended is shown with the package that it broke",
			`{"Action":"output","Package":"p","Test":"TestA","Output":"panic: test timed out\n"}
{"Action":"output","Package":"q","Test":"TestB","Output":"of another package\n"}
{"Action":"fail","Package":"p","Elapsed":0}
{"Action":"pass","Package":"q","Test":"TestB"}
`,
			totals{passed: 1, broken: 1},
			[]string{"--- UNFINISHED p TestA\npanic: test timed out", "1 passed, 1 failed, 0 skipped"},
		},
		{
			"what is no JSON is passed on; a package without tests counts for nothing",
			"go: cannot find main module\n" + `{"Action":"skip","Package":"p"}`,
			totals{},
			[]string{"go: cannot find main module", "0 passed, 0 failed, 0 skipped"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			got, err := summarize(strings.NewReader(tt.in), &out)
			if err != nil || got != tt.want {
				t.Errorf("summarize = %+v, %v; want %+v", got, err, tt.want)
			}
			for _, want := range tt.prints {
				if !strings.Contains(out.String(), want) {
					t.Errorf("%q is not printed; printed was:\n%s", want, out.String())
				}
			}
		})
	}
}
