package dhtpart

import (
	"fmt"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
	"github.com/gamelan-p2p/gamelan/internal/words"
)

// unhandledTold is how long the node warns of a message that nobody handled.
const unhandledTold = time.Hour

// warnings returns a warning about messages that were dropped because nobody in the node handles their type.
func (d *DHT) warnings() models.Notices {
	now := d.trunk.Now()
	for _, c := range d.Counts() {
		if c.Reason != dht.NoHandler || c.Last == nil || now.Sub(c.Last.At) >= unhandledTold {
			continue
		}
		_, kind, _ := strings.Cut(c.Last.Err, "nobody handles ")
		return models.Notices{codes.Unhandled.Notice(fmt.Sprintf("%s over the DHT dropped: nobody here handles the type (the last %s ago from %s, of %s)",
			inspect.Count(c.Count, "message"), words.Long(now.Sub(c.Last.At)), inspect.ShortName(c.Last.Peer.String()), inspect.Escape(kind)))}
	}
	return nil
}

// peerWarnings returns a warning for each of the first peers whose messages could not be decoded.
func (d *DHT) peerWarnings() models.Notices {
	now := d.trunk.Now()
	return trunk.NoticeEach(d.Undecodable(), func(u Undecodable) models.Notice {
		return codes.Undecodable.Notice(fmt.Sprintf("peer %s sent %s on %s that cannot be decoded, the last %s ago; this node expects messages of the DHT there",
			u.Peer, inspect.Count(u.Count, "message"), u.Protocol, now.Sub(u.Last).Round(time.Second)), u.Peer.String(), string(u.Protocol))
	}, codes.Undecodable, "peers sent messages that cannot be decoded")
}
