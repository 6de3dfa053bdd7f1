package transport

import (
	"context"

	"github.com/gamelan-p2p/gamelan/identity"
)

type peerKey struct{}

// WithPeer returns a context for a dial of the peer. A transport that goes through a proxy
// may keep the connections to different peers apart, so that nobody who watches the proxy's
// network can tell that they come from one node. Other transports ignore it.
func WithPeer(ctx context.Context, peer identity.NodeID) context.Context {
	return context.WithValue(ctx, peerKey{}, peer)
}

// PeerOf returns the peer of [WithPeer]; ok is false when the context has none.
func PeerOf(ctx context.Context) (peer identity.NodeID, ok bool) {
	peer, ok = ctx.Value(peerKey{}).(identity.NodeID)
	return peer, ok
}
