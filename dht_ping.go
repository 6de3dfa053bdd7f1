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

// Ping asks the application of a peer whether it is there, over the DHT's
// messaging, and returns how long the answer took. Nodes of the network answer
// when their application does so: [dhtpart.ErrNoPong] after 40 s says little about
// the connection. [dhtpart.ErrPingLost] says to try again.
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
