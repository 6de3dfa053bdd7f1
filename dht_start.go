package gamelan

import (
	"fmt"

	dhtpart "github.com/gamelan-p2p/gamelan/actors/dht"
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
