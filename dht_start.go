package gamelan

import (
	"fmt"

	dhtpart "github.com/gamelan-p2p/gamelan/actors/dht"
	"github.com/gamelan-p2p/gamelan/dht"
)

// openDHT loads the records of DHT messages that the node has seen.
func (b *builder) openDHT() error {
	if b.DHT == nil {
		return nil
	}
	var damaged int
	var err error
	if b.dedup, damaged, err = dhtpart.LoadDedup(b.db, b.DHT.DedupCapacity, b.runtime.Wall()); err != nil {
		return fmt.Errorf("gamelan: messages that were seen: %w", err)
	}
	if damaged > 0 {
		b.logger.Warn("records of messages that were seen cannot be read; such messages may be heard twice", "n", damaged)
	}
	return nil
}

// dhtSettings returns the settings of the DHT.
func (b *builder) dhtSettings() dhtpart.Settings {
	c := b.DHT
	return dhtpart.Settings{
		DB:     b.db,
		Shards: c.Shards, Occurrences: c.Occurrences, SendPace: c.SendPace, FloodLimit: c.FloodLimit, RelayBytes: c.RelayBytes,
		Broadcast: c.Broadcast, Propagation: c.Propagation, Neighbours: c.Neighbours, NoForwarding: c.NoForwarding,
		Dedup: b.dedup, Unreached: dht.NewUnreached(), Layers: b.layers, SendLayers: b.sendLayers,
	}
}
