package main

import (
	"github.com/gamelan-p2p/gamelan/bench/harness"
	"github.com/gamelan-p2p/gamelan/bench/product"
)

// torGroups are measured where the programs of Tor are installed.
func torGroups() []harness.Group {
	return []harness.Group{{
		Name:  "tor",
		About: "nodes over onion services of a private Tor network on this machine; a probe is a SOCKS request made by hand to the same service",
		Cases: []harness.Case{product.Tor()},
	}}
}

// torTargets are the goals of torGroups.
func torTargets() []harness.Target {
	const second = 1e9
	absolute := func(id, metric string, bound float64) harness.Target {
		return harness.Target{ID: id, Case: "gamelan/tor", Metric: metric, Relation: harness.Absolute, Bound: bound}
	}
	return []harness.Target{
		absolute("tor: first message", product.TorOver, 2*second),
		absolute("tor: published", product.TorPublished, 10*second),
		absolute("tor: dialled", product.TorDialled, 5*second),
		absolute("tor: killed", product.TorKilled, 60*second),
	}
}
