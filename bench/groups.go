package main

import (
	"time"

	"github.com/gamelan-p2p/gamelan/bench/anchors"
	"github.com/gamelan-p2p/gamelan/bench/harness"
	"github.com/gamelan-p2p/gamelan/bench/peers"
	"github.com/gamelan-p2p/gamelan/bench/product"
)

// groups lists what is measured, each case beside the anchors that it is held
// against. A case of the product goes into the group of its anchors, under the
// name by which targets knows it; the first case of a group is what the others'
// ratios in the report refer to, so anchors stay in front. Floods and
// attacks last as long as those say.
func groups(flood, attack time.Duration) []harness.Group {
	return []harness.Group{
		oneWay(32, product.OneWay(32), product.SendTo(32)),
		oneWay(1<<10, product.OneWay(1<<10)),
		{
			Name:  "inspect",
			About: "what it costs that a node can be inspected, while nobody looks and while somebody looks once a second; 10,000 actors",
			Cases: []harness.Case{
				named("gamelan/oneway-32-not-inspected", product.OneWay(32)), product.Inspected(32), product.Watched(32), product.Paged(32),
				named("gamelan/oneway-1KiB-not-inspected", product.OneWay(1<<10)), product.Inspected(1 << 10),
				product.Snapshot(), product.Look(), product.CrowdMemory(false), product.CrowdMemory(true),
			},
		},
		{
			Name:  "request-response",
			About: "one message there and its echo back, one at a time, on an open stream",
			Cases: append([]harness.Case{
				anchors.Libp2pRequest(32),
				anchors.Libp2pRequest(1 << 10),
				anchors.TCPRoundTrip(32),
				anchors.NATSRequest(32),
				anchors.NATSRequest(1 << 10),
				product.Request(32),
				product.Request(1 << 10),
			}, ifIroh(peers.Iroh("request", 32), peers.Iroh("request", 1<<10))...),
		},
		{
			Name:  "rpc",
			About: "32 B there and back as a typed call, one at a time on each session",
			Cases: []harness.Case{
				anchors.Libp2pRequests(32, 1),
				anchors.Libp2pRequests(32, 16),
				product.StreamRequest(32),
				product.RPC(32, 1),
				product.RPC(32, 16),
			},
		},
		{
			Name:  "beside",
			About: "a frame on one substream, right after exchanges on another",
			Cases: []harness.Case{product.Beside(1), product.Beside(200)},
		},
		{
			Name:  "http",
			About: "a request of net/http and its echo, one at a time, over TLS on loopback and over a stream",
			Cases: []harness.Case{
				anchors.HTTPOverTLS(32), anchors.HTTPOverTLS(1 << 10),
				product.HTTP(32), product.HTTP(1 << 10),
			},
		},
		{
			Name:  "rpc-stream",
			About: "items as the answer to one request; an operation is one item read completely",
			Cases: []harness.Case{
				anchors.Libp2pItems(64 << 10),
				anchors.Libp2pItems(1 << 10),
				product.RPCItems(64 << 10),
				product.RPCItems(1 << 10),
			},
		},
		{
			Name:  "bulk",
			About: "64 KiB at a time in one direction; an operation is 64 KiB received",
			Cases: []harness.Case{
				anchors.Libp2pBulk(1),
				anchors.Libp2pBulk(64),
				anchors.Seal(64 << 10),
				anchors.Open(64 << 10),
				anchors.TCPOneWay(64 << 10),
				product.Bulk(1, 0),
				product.Bulk(1, 4<<20),
				product.Bulk(64, 0),
			},
		},
		{
			Name:  "inbox",
			About: "messages of 1 KiB that wait in an inbox, handled and acknowledged on the disk, by a listener that acknowledges many at a time, a loop and a function",
			Cases: []harness.Case{product.InboxBatched(), product.InboxLoop(), product.InboxFunction()},
		},
		{
			Name:  "outcomes",
			About: "messages of 1 KiB until their outcome says kept or handled, one at a time and from three senders, beside a write of 1 KiB that is synced and JetStream, which syncs each write or, by default, every two minutes",
			Cases: []harness.Case{
				anchors.Sync(1 << 10), anchors.JetStream(1<<10, true), named("nats/jetstream-unsynced-1KiB", anchors.JetStream(1<<10, false)),
				product.Kept(), product.KeptOne(), product.Handled(), product.HandledOne(),
			},
		},
		{
			Name:  "socks",
			About: "64 KiB at a time in one direction through a SOCKS5 proxy on loopback (microsocks, where it is installed); an operation is 64 KiB received",
			Cases: []harness.Case{product.BareProxy(), product.Socks()},
		},
		{
			Name:  "connect",
			About: "a new connection, up to the end of the identity exchange, and its close",
			Cases: append([]harness.Case{
				anchors.Libp2pConnect8(),
				anchors.Libp2pConnect(),
				anchors.TCPDial(),
				product.Connect8(),
			}, ifIroh(peers.Iroh("connect", 0))...),
		},
		{
			Name:  "first",
			About: "the first message after connecting, until it is confirmed",
			Cases: []harness.Case{product.FirstMessage()},
		},
		{
			Name:  "substream",
			About: "open a stream, negotiate, one message and its echo, close",
			Cases: []harness.Case{
				anchors.Libp2pNewStream(),
				product.Substream(),
			},
		},
		{
			Name:  "kad",
			About: "lookups of the key-value DHT among 1,000 nodes in memory, without delay; an operation is a query, of which a lookup has about 22",
			Cases: []harness.Case{anchors.KadLookup(), product.KadLookup(200), product.KadLookup(1000)},
		},
		{
			Name:  "idle",
			About: "memory of a connection end at rest, each case in a process of its own",
			Cases: []harness.Case{
				anchors.Libp2pIdle(500),
				anchors.Libp2pIdle(1000),
				product.Idle(500),
				product.Idle(1000),
				product.IdleMessaging(500),
				product.IdleAfter(),
				product.IdleSessions(),
			},
		},
		{
			Name:  "actors",
			About: "a panic in a protocol actor until the next incarnation serves; the two actors of a peer, without a network",
			Cases: []harness.Case{
				product.Restart(),
				product.Spawn(),
				product.SpawnMemory(),
			},
		},
		{
			Name:  "peers",
			About: "the peer store: look-ups by distance, memory of a peer, a node's start with many",
			Cases: []harness.Case{
				product.ClosestPeers(10_000),
				product.ClosestPeers(100_000),
				product.PeerMemory(100_000),
				product.StartWithPeers(100_000),
			},
		},
		{
			Name:  "network",
			About: "a hundred nodes in one process that find each other",
			Cases: []harness.Case{product.MemoryNetwork(100)},
		},
		{
			Name:  "dht",
			About: "messages of the DHT: signatures alone, what one node receives and what it sends; the peers are another process, whose CPU does not count",
			Cases: []harness.Case{
				anchors.CurveVerify(),
				anchors.CurveSign(),
				product.Sign(),
				product.Verify(),
				product.ReceiveDHT(1<<10, 1),
				product.ReceiveDHT(32, 1),
				product.ReceiveDHT(1<<10, 2),
				product.ReceiveSealedDHT(1 << 10),
				product.DuplicatesDHT(1 << 10),
				product.SendDHT(1<<10, "clear"),
				product.SendDHT(1<<10, "signed"),
				product.SendDHT(1<<10, "encrypted"),
				product.SendDHT(32, "signed"),
			},
		},
		{
			Name:  "dedup",
			About: "messages that were never seen, remembered in memory and written behind",
			Cases: []harness.Case{
				anchors.DedupRing(),
				product.Dedup(),
				product.DedupAll(),
				product.LoadDedup(50_000),
			},
		},
		{
			Name:  "stored",
			About: "messages that a node stores for others: 1 KiB each, synced, beside a store of the same shape; of 6 kB or (a million) half a kB each: opening the store, an answer with 50, a message on the disk while old ones are deleted",
			Cases: []harness.Case{
				anchors.StoredBatch(),
				product.StoredInsert(),
				product.Stored(100_000, 6016),
				product.Stored(1_000_000, 512),
			},
		},
		{
			Name:  "flood",
			About: "peers of another process send ten times faster than the handler works",
			Cases: []harness.Case{
				product.Flood(1, flood),
				product.Flood(1000, flood),
			},
		},
		{
			Name:  "attacks",
			About: "honest peers' sends and fresh dials while a node is attacked, beside a process that only burns as much CPU",
			Cases: product.Attacks(attack),
		},
	}
}

// oneWay is the group of one-way messages of n bytes: the anchors and ours.
func oneWay(n int, ours ...harness.Case) harness.Group {
	flushed := anchors.Libp2pOneWay(n, true)
	name := flushed.Name[len("libp2p/oneway-each-flushed-"):]
	ours = append(ours, ifIroh(peers.Iroh("oneway", n))...)
	return harness.Group{
		Name:  "oneway-" + name,
		About: "messages in one direction over one stream; an operation is one message read completely",
		Cases: append([]harness.Case{
			flushed,
			anchors.Libp2pOneWay(n, false),
			anchors.NoHops(n),
			anchors.QueueDrainChans(n),
			anchors.QueueDrain(n),
			anchors.NATSOneWay(n),
			anchors.JetStream(n, false),
		}, ours...),
	}
}

// named is a case of another group under a name of its own.
func named(name string, c harness.Case) harness.Case {
	c.Name = name
	return c
}
