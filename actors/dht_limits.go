package actors

import "github.com/gamelan-p2p/gamelan/dht"

// DHTLimits says how close peers have come to the limits of what they send.
type DHTLimits struct {
	Flood dht.FloodStats
	Relay dht.RelayStats
}

// DHTLimits sums up what the meters of all shards know. Only with the DHT on.
func (e *Env) DHTLimits() (l DHTLimits) {
	for _, f := range e.floods {
		s := f.Stats()
		l.Flood.Limit = s.Limit
		l.Flood.Peers += s.Peers
		l.Flood.Held += s.Held
		l.Flood.Unread += s.Unread
	}
	l.Relay = e.relayed.Stats()
	return l
}
