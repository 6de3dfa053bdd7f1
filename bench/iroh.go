package main

import (
	"github.com/gamelan-p2p/gamelan/bench/harness"
	"github.com/gamelan-p2p/gamelan/bench/peers"
)

// ifIroh is the given cases where the program that measures iroh was built, and otherwise none.
func ifIroh(cases ...harness.Case) []harness.Case {
	if !peers.IrohBuilt() {
		return nil
	}
	return cases
}

// irohTargets hold ours against iroh, where it is measured.
func irohTargets() []harness.Target {
	if !peers.IrohBuilt() {
		return nil
	}
	return []harness.Target{
		{
			ID: "iroh", Case: "gamelan/oneway-1KiB", Metric: harness.Rate, Relation: harness.Ratio,
			Against: []string{"iroh/oneway-1KiB"}, AtLeast: true, Bound: 1,
		},
		{
			ID: "iroh", Case: "gamelan/request-response-32", Metric: harness.P50, Relation: harness.Ratio,
			Against: []string{"iroh/request-32"}, Bound: 0.5,
		},
	}
}
