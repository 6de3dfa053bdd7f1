package main

import (
	"strings"

	"github.com/gamelan-p2p/gamelan/bench/harness"
	"github.com/gamelan-p2p/gamelan/bench/product"
)

const (
	microsecond = 1e3 // in nanoseconds, as the metrics are
	millisecond = 1e6
	kB          = 1e3
	mebibyte    = 1 << 20
)

// targets are the figures that the project set itself, by the names of the
// product's cases. A target whose case or anchor was not measured says so.
func targets() []harness.Target {
	ratio := func(id, product, metric string, bound, stretch float64, anchors ...string) harness.Target {
		return harness.Target{
			ID: id, Case: product, Metric: metric, Relation: harness.Ratio, Against: anchors,
			AtLeast: metric == harness.Rate || metric == harness.Throughput, Bound: bound, Stretch: stretch,
		}
	}
	absolute := func(id, product, metric string, bound, stretch float64) harness.Target {
		return harness.Target{ID: id, Case: product, Metric: metric, Relation: harness.Absolute, Bound: bound, Stretch: stretch}
	}
	return append([]harness.Target{
		// Messages from one actor to a handler actor of one peer.
		ratio("P1", "gamelan/oneway-32", harness.Rate, 5, 12, "libp2p/oneway-each-flushed-32"),
		absolute("P1", "gamelan/oneway-32", harness.CPU, 1.0*microsecond, 0.5*microsecond),
		ratio("P1 SendTo", "gamelan/oneway-sendto-32", harness.Rate, 5, 12, "libp2p/oneway-each-flushed-32"),
		ratio("P2", "gamelan/oneway-1KiB", harness.Rate, 2, 2.8, "libp2p/oneway-each-flushed-1KiB"),
		ratio("P2", "gamelan/oneway-1KiB", harness.Rate, 0.6, 0.8, "path/oneway-no-hops-1KiB"),
		ratio("JetStream", "gamelan/oneway-32", harness.Rate, 6, 0, "nats/jetstream-32"),
		ratio("P3", "gamelan/oneway-1KiB", harness.CPU, 2.0, 1.6, "libp2p/oneway-bufio64K-1KiB"),

		// Request and response, both peers through actors.
		ratio("P4", "gamelan/request-response-32", harness.P50, 1.5, 0, "libp2p/request-response-32"),
		ratio("P4", "gamelan/request-response-32", harness.P99, 1.5, 0, "libp2p/request-response-32"),
		ratio("P4", "gamelan/request-response-1KiB", harness.P50, 1.5, 0, "libp2p/request-response-1KiB"),
		ratio("P4", "gamelan/request-response-1KiB", harness.P99, 1.5, 0, "libp2p/request-response-1KiB"),

		ratio("NATS", "gamelan/request-response-32", harness.P50, 0.8, 0, "nats/request-32"),

		// Remote calls, against the same exchange on a bare stream.
		ratio("RPC", "gamelan/rpc-32-1sessions", harness.Rate, 0.9, 0, "libp2p/request-response-32-1streams"),
		ratio("RPC", "gamelan/rpc-32-16sessions", harness.Rate, 0.9, 0, "libp2p/request-response-32-16streams"),
		ratio("RPC items", "gamelan/rpc-items-64KiB", harness.Throughput, 0.9, 0, "libp2p/stream-items-64KiB"),

		// net/http over a stream, against TLS on loopback.
		ratio("HTTP", "gamelan/http-32", harness.P50, 1.3, 0, "net/http-tls-32"),
		ratio("HTTP", "gamelan/http-1KiB", harness.P50, 1.3, 0, "net/http-tls-1KiB"),

		// Bulk over substreams, with the default window and with 4 MiB.
		ratio("P5", "gamelan/bulk-1stream-64KiB", harness.CPU, 1.5, 1.3,
			"limits/chacha20poly1305-seal-64KiB", "limits/chacha20poly1305-open-64KiB", "tcp/tcp-oneway-write-64KiB"),
		ratio("P5", "gamelan/bulk-1stream-64KiB", harness.Rate, 0.8, 0, "libp2p/bulk-1stream-64KiB"),
		ratio("P5 4 MiB", "gamelan/bulk-1stream-64KiB-window4MiB", harness.Rate, 0.8, 1.0, "libp2p/bulk-1stream-64KiB"),
		ratio("P6", "gamelan/bulk-64stream-64KiB", harness.Rate, 0.9, 1.0, "gamelan/bulk-1stream-64KiB"),

		// Through a SOCKS5 proxy, before Noise, against the proxy alone.
		ratio("socks", "gamelan/socks-bulk-64KiB", harness.Throughput, 0.9, 0, "socks/bulk-64KiB"),

		// A loop over kept messages, and a function, against a listener that acknowledges many at a time.
		ratio("inbox", "gamelan/inbox-loop-1KiB", harness.Rate, 0.9, 0, "gamelan/inbox-batched-1KiB"),
		ratio("inbox", "gamelan/inbox-function-1KiB", harness.Rate, 0.9, 0, "gamelan/inbox-batched-1KiB"),

		// Messages with ids: kept, beside JetStream that syncs each write, and handled.
		{ID: "kept", Case: "gamelan/kept-1KiB", Metric: harness.Rate, Relation: harness.Absolute, AtLeast: true, Bound: 30_000},
		ratio("kept", "gamelan/kept-1KiB", harness.Rate, 1.0, 0, "nats/jetstream-sync-1KiB"),
		{ID: "kept one", Case: "gamelan/kept-one-1KiB", Metric: harness.P50, Relation: harness.Difference, Against: []string{"limits/sync-1KiB"}, Bound: 0.5 * millisecond},
		{ID: "handled", Case: "gamelan/handled-1KiB", Metric: harness.Rate, Relation: harness.Absolute, AtLeast: true, Bound: 50_000},

		// Connections and substreams.
		ratio("P7", "gamelan/connect+close-8dialers", harness.CPU, 0.5, 0.4, "libp2p/connect+identify+close-8dialers"),
		ratio("P7", "gamelan/connect+close-8dialers", harness.Rate, 2, 0, "libp2p/connect+identify+close-8dialers"),
		absolute("first message", "gamelan/first-message", harness.P50, 5*millisecond, 0),
		ratio("P8", "gamelan/substream+1msg-echo+close", harness.CPU, 0.8, 0.6, "libp2p/newstream+1msg-echo+close"),
		ratio("P8", "gamelan/substream+1msg-echo+close", harness.P50, 1.0, 0, "libp2p/newstream+1msg-echo+close"),

		// Memory of one connection end: without a messaging substream, with one
		// idle each way, and after 64 MiB have crossed it.
		absolute("P9a", "gamelan/idle-connections-500", harness.PerEnd, 30*kB, 22*kB),
		absolute("P9a", "gamelan/idle-connections-500", harness.Goroutines, 3, 0),
		absolute("P9a", "gamelan/idle-connections-1000", harness.PerEnd, 30*kB, 22*kB),
		absolute("P9a", "gamelan/idle-connections-1000", harness.Goroutines, 3, 0),
		ratio("P9a", "gamelan/idle-connections-500", harness.PerEnd, 1.0, 0, "libp2p/idle-connections-500"),
		absolute("P9b", "gamelan/idle-messaging-500", harness.PerEnd, 40*kB, 30*kB),
		absolute("P9b", "gamelan/idle-messaging-500", harness.Goroutines, 5, 4),
		ratio("P10", "gamelan/idle-after-64MiB", harness.PerEnd, 1.5, 1.1, "gamelan/idle-messaging-500"),

		// Lookups of the key-value DHT through actors, against function calls.
		ratio("P21", "gamelan/kad-lookup-1000nodes", harness.CPU, 5, 2.5, "kad/lookup-sim-1000nodes-k20-a3"),

		// The price of the actor tree.
		ratio("P11", "gamelan/oneway-1KiB", harness.CPU, 1.35, 1.10, "path/oneway-queue-drain-chans-1KiB"),
		{
			ID: "P11", Case: "gamelan/oneway-32", Metric: harness.CPU, Relation: harness.Difference,
			Against: []string{"path/oneway-queue-drain-chans-32"}, Bound: 0.8 * microsecond, Stretch: 0.3 * microsecond,
		},
		ratio("inspector", "gamelan/oneway-32-inspected", harness.Rate, 0.95, 0, "gamelan/oneway-32-not-inspected"),
		ratio("inspector", "gamelan/oneway-1KiB-inspected", harness.Rate, 0.95, 0, "gamelan/oneway-1KiB-not-inspected"),
		ratio("the page open", "gamelan/oneway-32-paged", harness.Rate, 0.92, 0, "gamelan/oneway-32-not-inspected"),
		ratio("watcher", "gamelan/oneway-32-watched", harness.Rate, 0.92, 0, "gamelan/oneway-32-not-inspected"),
		absolute("snapshot", "gamelan/snapshot-10000", harness.P50, 10*millisecond, 0),
		{
			ID: "inspector memory", Case: "gamelan/actors-memory-inspected", Metric: harness.PerEnd, Relation: harness.Difference,
			Against: []string{"gamelan/actors-memory"}, Bound: 400,
		},
		absolute("P12", "gamelan/actor-restart", harness.P50, 100*microsecond, 25*microsecond),
		absolute("P12", "gamelan/actor-restart", harness.P99, 5*millisecond, 0),
		absolute("P13", "gamelan/spawn-peer-actors", harness.CPU, 15*microsecond, 8*microsecond),
		absolute("P13", "gamelan/spawn-peer-actors-memory", harness.PerEnd, 4*kB, 0),

		// Messages of the DHT: signatures, and signed messages that arrive from
		// one peer, from two in different shards, and again.
		ratio("P14 sign", "gamelan/dht-sign", harness.Rate, 0.9, 0, "curve/voi-sign"),
		ratio("P14 verify", "gamelan/dht-verify", harness.Rate, 0.9, 0, "curve/voi-verify"),
		ratio("P15", "gamelan/dht-received-1KiB", harness.Rate, 0.6, 0.9, "curve/voi-verify"),
		ratio("P15 32 B", "gamelan/dht-received-32", harness.Rate, 0.6, 0.9, "curve/voi-verify"),
		ratio("P15 2 shards", "gamelan/dht-received-1KiB-2shards", harness.Rate, 1.6, 0, "gamelan/dht-received-1KiB"),
		ratio("P16", "gamelan/dht-duplicates-1KiB", harness.Rate, 6, 10, "gamelan/dht-received-1KiB"),
		ratio("P16 of verifying", "gamelan/dht-duplicates-1KiB", harness.Rate, 6*0.6, 10*0.6, "curve/voi-verify"),

		// Dedup of new hashes, written behind: all of them, each with the record
		// that goes for it.
		{
			ID: "P17", Case: "gamelan/dedup-new-hashes-all-written", Metric: harness.Rate, Relation: harness.Absolute,
			AtLeast: true, Bound: 300_000,
		},
		ratio("P17", "gamelan/dedup-new-hashes-all-written", harness.Rate, 0.5, 0.8, "store/dedup-memory-ring+pebble-v2-batch64-nosync"),

		// Messages stored for others: synced before they count; a million of them.
		ratio("P18", "gamelan/stored-insert-1KiB", harness.Rate, 0.5, 0.8, "store/pebble-v2-saf64-1KiB+2idx-sync"),
		absolute("P19", "gamelan/stored-1000000", product.StoredAnswer, 50*15*microsecond, 50*5*microsecond),
		absolute("stored: open", "gamelan/stored-1000000", product.StoredOpen, 2000*millisecond, 0),
		absolute("stored: answer", "gamelan/stored-1000000", product.StoredAnswerSlow, 20*millisecond, 0),
		absolute("stored: answer", "gamelan/stored-100000", product.StoredAnswerSlow, 20*millisecond, 0),
		absolute("stored: purge", "gamelan/stored-1000000", product.StoredPurge, 3, 0),
		absolute("stored: purge", "gamelan/stored-100000", product.StoredPurge, 3, 0),

		// The peer store. A key is hashed for each look-up, which costs 1 µs.
		absolute("P20", "gamelan/closest-20-of-10000", harness.P50, 5*microsecond, 2*microsecond),
		absolute("P20", "gamelan/closest-20-of-100000", harness.P50, 20*microsecond, 0),
		absolute("P20 memory", "gamelan/peers-memory-100000", harness.PerEnd, 1*kB, 0),
		absolute("P23", "gamelan/start-with-100000-peers", harness.P50, 300*millisecond, 100*millisecond),

		// A network of 100 nodes in one process.
		absolute("P22", "gamelan/memory-network-100", product.NetworkHeap, 80*1e6, 50*1e6),
		absolute("P22", "gamelan/memory-network-100", product.NetworkStart, 3000*millisecond, 0),
		absolute("P22", "gamelan/memory-network-100", product.NetworkJoined, 3000*millisecond, 0),

		// A peer, then a thousand, that sends ten times faster than the handler
		// works: heap growth (credit, windows and 2 MiB), and what the others feel.
		absolute("P24", "gamelan/flood-1-peer", "heap growth bytes", 4*mebibyte, 0),
		absolute("P24", "gamelan/flood-1-peer", "p99 of others ratio", 3, 0),
		absolute("P24", "gamelan/flood-1000-peers", "heap growth bytes", (256+1000+2)*mebibyte, 0),
		absolute("P24", "gamelan/flood-1000-peers", "p99 of others ratio", 3, 0),
	}, attackTargets()...)
}

// attackTargets say what honest peers may feel of each attack.
func attackTargets() (all []harness.Target) {
	for _, c := range product.Attacks(0) {
		all = append(all,
			harness.Target{ID: "attack", Case: c.Name, Metric: "p50 of sends ratio", Relation: harness.Absolute, Bound: 1.5},
			harness.Target{ID: "attack", Case: c.Name, Metric: "dials succeeded %", Relation: harness.Absolute, AtLeast: true, Bound: 95},
		)
		if strings.HasPrefix(c.Name, "gamelan/attack-stored-answers") {
			all = append(all, harness.Target{ID: "attack", Case: c.Name, Metric: "hand-outs %", Relation: harness.Absolute, AtLeast: true, Bound: 95})
		}
	}
	return all
}
