package gamelan

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	dhtpart "github.com/gamelan-p2p/gamelan/actors/dht"
	"github.com/gamelan-p2p/gamelan/identity"
)

// Ping pings the application of a peer over the DHT's messaging, and returns how long the
// answer took. A peer answers only if its application does, so [dhtpart.ErrNoPong], which
// comes after 40 s, says little about the connection. After [dhtpart.ErrPingLost] try
// again.
func (d *DHT) Ping(ctx context.Context, peer identity.NodeID) (time.Duration, error) {
	if !d.Enabled() {
		return 0, ErrNoDHT
	}
	r, err := ask[dhtpart.PeerPinged](ctx, d.n, d.n.dht.Pinger, dhtpart.PingPeer{Peer: peer})
	if errors.Is(r.Err, dhtpart.ErrPingLost) && d.n.stopping() {
		err = ErrClosed
	}
	if err = cmp.Or(err, r.Err); err != nil {
		return 0, fmt.Errorf("gamelan: ping %s: %w", peer, err)
	}
	return r.Took, nil
}
