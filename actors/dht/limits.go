package dht

import "github.com/gamelan-p2p/gamelan/dht"

// Limits says how close peers have come to the limits of what they send.
type Limits struct {
	Flood dht.FloodStats
	Relay dht.RelayStats
}

// Limits sums up what the meters of all shards know.
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
