package gamelan

import (
	"fmt"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
)

// openDHT reads what the node has seen of the DHT's messages.
func (b *builder) openDHT() error {
	if b.DHT == nil {
		return nil
	}
	var damaged int
	var err error
	if b.dedup, damaged, err = actors.LoadDedup(b.db, b.DHT.DedupCapacity, b.runtime.Wall()); err != nil {
		return fmt.Errorf("gamelan: messages that were seen: %w", err)
	}
	if damaged > 0 {
		b.logger.Warn("records of messages that were seen cannot be read; such messages may be heard twice", "n", damaged)
	}
	return nil
}

// dhtSettings is the DHT's part of the settings, nil without it.
func (b *builder) dhtSettings() *actors.DHTSettings {
	c := b.DHT
	if c == nil {
		return nil
	}
	return &actors.DHTSettings{
		Shards: c.Shards, Occurrences: c.Occurrences, SendPace: c.SendPace, FloodLimit: c.FloodLimit, RelayBytes: c.RelayBytes,
		Broadcast: c.Broadcast, Propagation: c.Propagation, Neighbours: c.Neighbours, NoForwarding: c.NoForwarding,
		Dedup: b.dedup, Unreached: dht.NewUnreached(), Layers: b.layers, SendLayers: b.sendLayers,
	}
}
