package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

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
	for _, g := range append(groups(floodShort), tariGroups()...) {
		for _, c := range g.Cases {
			if slices.Contains(names, c.Name) {
				t.Errorf("got two cases named %s, want unique names", c.Name)
			}
			names = append(names, c.Name)
		}
	}
	for _, target := range append(targets(), tariTargets()...) {
		for _, anchor := range target.Against {
			if !slices.Contains(names, anchor) && !strings.HasPrefix(anchor, "gamelan/") {
				t.Errorf("%s: got anchor %s, which no group measures", target.ID, anchor)
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
