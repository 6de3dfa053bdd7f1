package dhtpart

import (
	"fmt"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
)

// peerWarnings returns a warning for each of the first peers whose messages could not be decoded.
func (d *DHT) peerWarnings() models.Notices {
	now := d.trunk.Now()
	return trunk.NoticeEach(d.Undecodable(), func(u Undecodable) models.Notice {
		return codes.Undecodable.Notice(fmt.Sprintf("peer %s sent %s on %s that cannot be decoded, the last %s ago; this node expects messages of the DHT there",
			u.Peer, inspect.Count(u.Count, "message"), u.Protocol, now.Sub(u.Last).Round(time.Second)), u.Peer.String(), string(u.Protocol))
	}, codes.Undecodable, "peers sent messages that cannot be decoded")
}
