package main

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/bench/harness"
	"github.com/gamelan-p2p/gamelan/bench/peers"
	"github.com/gamelan-p2p/gamelan/bench/product"
)

func TestMain(m *testing.M) {
	for _, other := range []func() (bool, error){product.Writers, product.Sink, product.Attacker, peers.Console} {
		if was, err := other(); was {
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			return
		}
	}
	os.Exit(m.Run())
}

// TestNames keeps groups and targets in step: names are unique, and every
// anchor that a target names exists.
func TestNames(t *testing.T) {
	var names []string
	for _, g := range append(groups(floodShort, attackShort), tariGroups()...) {
		for _, c := range g.Cases {
			if slices.Contains(names, c.Name) {
				t.Errorf("got two cases named %s, want unique names", c.Name)
			}
			names = append(names, c.Name)
		}
	}
	for _, target := range slices.Concat(targets(), irohTargets(), tariTargets()) {
		for _, anchor := range target.Against {
			if !slices.Contains(names, anchor) && !strings.HasPrefix(anchor, "gamelan/") {
				t.Errorf("%s: got anchor %s, which no group measures", target.ID, anchor)
			}
		}
	}
}

// TestCitedResults finds a result file that a page cites and that is not there.
func TestCitedResults(t *testing.T) {
	cited := regexp.MustCompile(`bench/results/[^)\s]+`)
	for page, least := range map[string]int{"performance.md": 6, "performance-log.md": 7} {
		text, err := os.ReadFile("../docs/" + page)
		if err != nil {
			t.Fatal(err)
		}
		names := cited.FindAllString(string(text), -1)
		if len(names) < least {
			t.Errorf("%s: got the files %q, want at least %d", page, names, least)
		}
		for _, name := range names {
			if strings.HasSuffix(name, ".txt") {
				if _, err := os.Stat("../" + name); err != nil {
					t.Errorf("%s: %v", page, err)
				}
			}
		}
	}
}

// TestEveryCaseRuns measures each short case once, briefly.
func TestEveryCaseRuns(t *testing.T) {
	if testing.Short() {
		t.Skip("-short")
	}
	var out strings.Builder
	err := run([]string{"-rounds", "1", "-window", "100ms", "-results", "", "-run", "^(oneway|request|bulk|connect|substream|dht)"}, &out, &out)
	if err != nil {
		t.Fatalf("got %v, want every case measured; output:\n%s", err, out.String())
	}
}

// TestEveryAttackRuns measures each attack for a moment, in this process.
func TestEveryAttackRuns(t *testing.T) {
	if testing.Short() {
		t.Skip("-short")
	}
	for _, c := range product.Attacks(300 * time.Millisecond) {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			c.Fresh = false
			got, err := harness.Run([]harness.Group{{Name: c.Name, Cases: []harness.Case{c}}}, harness.Options{Rounds: 1})
			if err != nil {
				t.Fatal(err)
			}
			s := got[0].Cases[0].Samples[0]
			for _, metric := range []string{"p50 of sends ratio", "strokes/s", "memory peak bytes"} {
				if s[metric] <= 0 {
					t.Errorf("%s: got %v, want more than nothing", metric, s[metric])
				}
			}
		})
	}
}

// TestEveryTariCaseRuns does the same beside nodes of Tari, when they are built.
func TestEveryTariCaseRuns(t *testing.T) {
	if testing.Short() {
		t.Skip("-short")
	}
	if err := peers.Missing(); err != nil {
		t.Skip(err)
	}
	var out strings.Builder
	err := run([]string{"-rounds", "1", "-window", "100ms", "-results", "", "-run", "^tari-(oneway|connect|dht-.*-32)"}, &out, &out)
	if err != nil {
		t.Fatalf("got %v, want every case measured; output:\n%s", err, out.String())
	}
}
