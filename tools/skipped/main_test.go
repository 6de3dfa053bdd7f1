package main

import (
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	const fine = `{"Action":"pass","Package":"p","Test":"TestA","Elapsed":0.1}
{"Action":"pass","Package":"p","Elapsed":0.2}
{"Action":"skip","Package":"empty"}
`
	tests := []struct{ name, in, want string }{
		{"fine", fine, ""},
		{"nothing", ``, "no test ran"},
		{"skip", fine + `{"Action":"skip","Package":"p","Test":"TestB"}`, "skipped, which is a failure here: p TestB"},
		{"fail", fine + `{"Action":"fail","Package":"p","Test":"TestB"}`, "failed: p TestB"},
		{"process", fine + `{"Action":"output","Package":"p","Test":"TestB","Output":"=== RUN TestB\n"}
{"Action":"fail","Package":"p"}`, "failed: p, p TestB (did not end)"},
		{"build", fine + `{"Action":"build-fail","ImportPath":"p/q"}`, "failed: build of p/q"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			err := run(strings.NewReader(tt.in), &out)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestPrintsTheOutputOfWhatFailed(t *testing.T) {
	var out strings.Builder
	_ = run(strings.NewReader(`{"Action":"output","Package":"p","Test":"TestA","Output":"quiet\n"}
{"Action":"output","Package":"p","Test":"TestA","Output":"WARNING: DATA RACE\n"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestB","Output":"got 1, want 2\n"}
{"Action":"fail","Package":"p","Test":"TestB"}
{"Action":"output","Package":"p","Test":"TestC","Output":"fatal error: out of luck\n"}
{"Action":"fail","Package":"p"}
words of the go command
`), &out)
	for want, wanted := range map[string]bool{"got 1, want 2": true, "fatal error: out of luck": true, "words of the go command": true, "quiet": false, "p TestA: WARNING: DATA RACE": true} {
		if strings.Contains(out.String(), want) != wanted {
			t.Errorf("got %q with %q = %v, want %v", out.String(), want, !wanted, wanted)
		}
	}
}
