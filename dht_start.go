package gamelan

import (
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
)

// dhtSettings is the DHT's part of the settings, nil without it.
func (b *builder) dhtSettings() *actors.DHTSettings {
	c := b.DHT
	if c == nil {
		return nil
	}
	return &actors.DHTSettings{
		Shards: c.Shards, Occurrences: c.Occurrences, SendPace: c.SendPace, FloodLimit: c.FloodLimit,
		Broadcast: c.Broadcast, Propagation: c.Propagation, Neighbours: c.Neighbours, NoForwarding: c.NoForwarding,
		Dedup: dht.NewDedup(c.DedupCapacity), SendLayers: b.sendLayers,
	}
}
