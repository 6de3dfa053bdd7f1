package dhtpart

import "github.com/gamelan-p2p/gamelan/dht"

// Limits shows how close peers have come to the limits on what they send.
type Limits struct {
	Flood dht.FloodStats
	Relay dht.RelayStats
}

// Limits returns the flood meters of all shards in sum, and the relay meter.
func (d *DHT) Limits() (l Limits) {
	for _, s := range d.shards {
		f := s.flood.Stats()
		l.Flood.Limit = f.Limit
		l.Flood.Peers += f.Peers
		l.Flood.Held += f.Held
		l.Flood.Unread += f.Unread
	}
	l.Relay = d.relayed.Stats()
	return l
}
