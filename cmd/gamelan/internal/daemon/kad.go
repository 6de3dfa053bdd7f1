package daemon

import (
	"context"
	"fmt"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/api"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
)

// openKad starts the node's client of the key-value DHT, if the settings want one.
func (d *daemon) openKad(ctx context.Context) error {
	settings := d.settings()
	c, wanted := settings.ForKad(api.KadClient)
	if !wanted {
		return nil
	}
	if _, err := d.node.KV().Open(ctx, c); err != nil {
		return failure.Start(fmt.Errorf("key-value DHT: %s", failure.Text(err)))
	}
	return nil
}

// kadOf returns sentences on what a peer is to the clients of the key-value DHT.
func kadOf(n *gamelan.Node, peer identity.NodeID) (lines []string) {
	for _, c := range n.KV().Clients() {
		for _, k := range c.Known() {
			if k.Contact.PublicKey.NodeID() != peer {
				continue
			}
			line := fmt.Sprintf("It is a contact of client %s of the key-value DHT: bucket %d, answered at %s", c.Name(), k.Bucket, k.Answered.Local().Format(time.TimeOnly))
			if k.Failures > 0 {
				line += fmt.Sprintf(", and not to the last %s", inspect.Count(uint64(k.Failures), "request"))
			}
			lines = append(lines, line+".")
		}
	}
	return lines
}
