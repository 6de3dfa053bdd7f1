package upgrade

import (
	"context"
	"errors"
	"net"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/transport"
)

// errProven ends a set-up that was to prove the peer's key alone.
var errProven = errors.New("the peer has proven its key")

// Prove finds out who is at the other end of a connection that was dialled: a node with the key
// want, or of whatever key if that is zero. It returns the key that the peer has proven, and ends
// the connection after the message that proves it. So the peer sees a dialer that gives up, and
// hears nothing of this node: the key of cfg must have been made for this. With the node's own
// key, the peer could end the connection that it has with the node. Prove owns c.
//
// The error is an *[Error], as of [Outbound].
func Prove(ctx context.Context, c net.Conn, cfg Config, want identity.PublicKey) (identity.PublicKey, transport.Timings, error) {
	cfg.Check = func(identity.PublicKey) error { return errProven }
	u := &upgrader{cfg: cfg, raw: c, direction: protocol.Outbound, want: want}
	_, err := u.run(ctx)
	if errors.Is(err, errProven) {
		err = nil
	}
	return u.peer, u.result.Timings, err
}
