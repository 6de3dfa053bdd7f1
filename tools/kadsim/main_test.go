package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan/internal/kad/sim"
)

// TestRun simulates a small network, for people and for programs.
func TestRun(t *testing.T) {
	small := []string{"--nodes", "20", "--hours", "0.1"}
	var out, errs strings.Builder
	if code := run(small, &out, &errs); code != 0 || errs.String() != "Simulating 20 nodes…\n" {
		t.Fatalf("got %d, %s", code, &errs)
	}
	if got := strings.Split(out.String(), "\n"); len(got) != 10 || got[0] != "values found    100.00% of 40" {
		t.Errorf("got %q, want nine lines, and all values found", got)
	}
	again := func(args ...string) (r sim.Result) {
		t.Helper()
		out.Reset()
		errs.Reset()
		if code := run(append(small, args...), &out, &errs); code != 0 || errs.Len() > 0 {
			t.Fatalf("%v: got %d, %s", args, code, &errs)
		}
		if err := json.Unmarshal([]byte(out.String()), &r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	again("--json")
	if got := out.String(); !strings.HasPrefix(got, `{"config":{"nodes":20,`) || strings.Count(got, "\n") != 1 {
		t.Errorf("got %q, want one line that begins with the nodes", got)
	}
	if first := again("-json", "-random", "7"); first != again("-json", "-seed", "7") || first == again("-json") {
		t.Error("got other results of one number, or the same of two")
	}
}

func TestRefused(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"-nodes", "0"}, "kadsim: -nodes is out of range; take 1 to 20000\n"},
		{[]string{"-churn", "1"}, "kadsim: -churn is out of range; take 0 to 0.99\n"},
		{[]string{"-hours", "0"}, "kadsim: -hours is out of range; take 0.1 to 24\n"},
		{[]string{"-loss", "0.95"}, "kadsim: -loss is out of range; take 0 to 0.9\n"},
		{[]string{"100"}, "kadsim: unexpected argument \"100\"; see -help\n"},
		{[]string{"-nodes", "many"}, "invalid value \"many\" for flag -nodes"},
	} {
		var out, errs strings.Builder
		if code := run(c.args, &out, &errs); code != 2 || !strings.HasPrefix(errs.String(), c.want) || out.Len() > 0 {
			t.Errorf("%v: got %d, %q and %q, want 2 and %s", c.args, code, &errs, &out, c.want)
		}
	}
}
