package config

import (
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/internal/settings"
)

// DHTConfig is the DHT's part of a [Config]. A number that is 0 has its default.
//
// spec: dht 11.1
type DHTConfig struct {
	// Number of actors that share the work on messages received over the DHT.
	//
	// All messages of one peer go to the same actor. Default 1.
	Shards int

	// How many copies of the same message are accepted; further copies are dropped. Default 1.
	Occurrences int

	// Number of messages that are remembered, to recognise their copies.
	//
	// Each has a record that survives a restart. Above the limit, the oldest records of the peer with
	// the most records are evicted. Fingerprints of evicted records are kept for 3 h, in at most
	// 16 MiB. Default 50,000.
	DedupCapacity int

	// Greatest number of messages over the DHT within a minute to one peer that does not run gamelan: such
	// peers may ban for more than 1000. Further messages wait. Default 900.
	SendPace int

	// Number of messages from one peer over the DHT within a minute, counting those that no handler here
	// accepts, above which the peer is banned. Default 60,000.
	FloodLimit int

	// Bytes of messages for other nodes that are relayed within a minute for one source. A source is an
	// IPv4 address or an IPv6 /64; for connections such as Tor's, whose address means nothing, it is one
	// peer. Further messages are dropped. Default 256 MiB, at most 1 GiB.
	RelayBytes int64

	// Number of connected nodes to which a broadcast is sent. Default 8.
	Broadcast int

	// Number of connected nodes to which a message for another destination is relayed. Default 20.
	Propagation int

	// How many of the nodes closest to this one are its neighbours. Default 8.
	Neighbours int

	// Makes the node drop messages for other nodes instead of relaying them. It relays Joins, by
	// which nodes become known.
	NoForwarding bool
}

// dhtSwitch returns the row of the switch, whose key says the opposite of its field, so that it
// has a text of its own.
func dhtSwitch() []*settings.Row {
	r := settings.On("dht.enabled", func(c *Config) *bool { return &c.NoDHT }).With(settings.Options{Flag: "dht", Not: true})
	r.Example = `false`
	r.Doc = "Makes the node take part in the DHT, which routes messages over several nodes. " +
		"A node without it gets no DHT messages from nodes of gamelan, which exchange messages with it while they are connected."
	return []*settings.Row{r}
}

func dhtRows() []*settings.Row {
	return []*settings.Row{
		settings.On("dht.no_forwarding", func(c *DHTConfig) *bool { return &c.NoForwarding }),
		settings.Number("dht.send_pace", func(c *DHTConfig) *int { return &c.SendPace }, dht.DefaultPace, 1, 1_000_000, `300`),
		settings.Number("dht.flood_limit", func(c *DHTConfig) *int { return &c.FloodLimit }, dht.FloodLimit, 1, 100_000_000, `6000`),
		settings.Number("dht.relay_bytes", func(c *DHTConfig) *int64 { return &c.RelayBytes }, dht.RelayBytes, 1, dht.MaxRelayBytes, `"64MiB"`),
		settings.Number("dht.occurrences", func(c *DHTConfig) *int { return &c.Occurrences }, 1, 1, 1_000, `3`),
		settings.Number("dht.dedup_capacity", func(c *DHTConfig) *int { return &c.DedupCapacity }, dht.DedupCapacity, 1, 10_000_000, `100000`),
		settings.Number("dht.broadcast", func(c *DHTConfig) *int { return &c.Broadcast }, dht.BroadcastFactor, 1, 1_000, `4`),
		settings.Number("dht.propagation", func(c *DHTConfig) *int { return &c.Propagation }, dht.PropagationFactor, 1, 1_000, `10`),
		settings.Number("dht.neighbours", func(c *DHTConfig) *int { return &c.Neighbours }, dht.NeighbouringNodes, 1, 1_000, `16`),
		settings.Number("dht.shards", func(c *DHTConfig) *int { return &c.Shards }, 1, 1, 256, `4`),
	}
}
