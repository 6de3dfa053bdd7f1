package main

import (
	"slices"

	"github.com/gamelan-p2p/gamelan/bench/harness"
	"github.com/gamelan-p2p/gamelan/bench/peers"
)

// tariSizes are those of the messages between nodes of Tari and ours.
var tariSizes = []int{32, 1 << 10, 64 << 10}

// tariGroups is measured when the nodes of Tari are there: theirs among
// themselves, ours among themselves, and both together, all in the same way.
func tariGroups() []harness.Group {
	var all []harness.Group
	for _, n := range tariSizes {
		g := harness.Group{About: "messages in one direction between two processes, through the messaging protocol; CPU is that of both"}
		for _, k := range peers.Tari {
			g.Cases = append(g.Cases, peers.Messages(k, k, n))
		}
		g.Cases = append(g.Cases, peers.Messages(peers.Gamelan, peers.Gamelan, n))
		for _, k := range peers.Tari {
			g.Cases = append(g.Cases, peers.Messages(peers.Gamelan, k, n), peers.Messages(k, peers.Gamelan, n))
		}
		g.Name = "tari-oneway-" + peers.Size(n)
		all = append(all, g)
	}
	for _, n := range []int{32, 1 << 10} {
		for _, seal := range peers.Seals {
			g := harness.Group{
				Name:  "tari-dht-" + seal + "-" + peers.Size(n),
				About: "domain messages in one direction between two processes, through the DHT of both; CPU is that of both",
			}
			for _, k := range append(slices.Clone(peers.Tari), peers.Gamelan) {
				g.Cases = append(g.Cases, peers.DHT(k, k, seal, n))
			}
			all = append(all, g)
		}
	}
	connect := harness.Group{Name: "tari-connect", About: "a new connection between two processes and its close, one after another; CPU is that of both"}
	idle := harness.Group{Name: "tari-idle", About: "resident memory of a process by connection at rest, 400 of them"}
	for _, k := range append(peers.Tari, peers.Gamelan) {
		connect.Cases = append(connect.Cases, peers.Connect(k, k))
		idle.Cases = append(idle.Cases, peers.Idle(k))
	}
	for _, k := range peers.Tari {
		connect.Cases = append(connect.Cases, peers.Connect(peers.Gamelan, k), peers.Connect(k, peers.Gamelan))
	}
	return append(all, connect, idle)
}

// tariTargets hold ours against the better of Tari's releases, and memory
// against the older one.
func tariTargets() []harness.Target {
	better := func(id, what, metric string, bound float64) harness.Target {
		t := harness.Target{
			ID: id, Case: "gamelan-processes/" + what, Metric: metric, Relation: harness.Ratio, Best: true,
			AtLeast: metric == harness.Rate, Bound: bound,
		}
		for _, k := range peers.Tari {
			t.Against = append(t.Against, string(k)+"/"+what)
		}
		return t
	}
	memory := func(id, metric string) harness.Target {
		return harness.Target{
			ID: id, Case: "gamelan/idle-rss", Metric: metric, Relation: harness.Ratio, Bound: 0.8,
			Against: []string{"tari-1.0.0-rc.5/idle-rss"},
		}
	}
	return []harness.Target{
		better("T1", "oneway-32", harness.Rate, 15),
		better("T1", "oneway-1KiB", harness.Rate, 3.5),
		better("T1", "oneway-64KiB", harness.Rate, 1.5),
		better("T4 clear", "dht-clear-1KiB", harness.Rate, 1),
		better("T4 signed", "dht-signed-1KiB", harness.Rate, 1.7),
		better("T4 encrypted", "dht-encrypted-1KiB", harness.Rate, 3),
		better("T2", "connect+close", harness.CPU, 0.25),
		memory("T3", peers.RSS),
		memory("T3", peers.RSSCollected),
	}
}
