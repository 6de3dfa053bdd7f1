package base

import (
	"time"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/share"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// HolderOf returns who has what a connection's peer opens, for package share.
func HolderOf(c *actors.ConnRef, now time.Time) share.Holder[identity.NodeID] {
	return share.Holder[identity.NodeID]{
		Source: share.Source(c.Link().Origin), Key: c.Peer,
		Last: c.Direction == protocol.Outbound || now.Sub(c.Since) >= share.LastAfter,
	}
}
