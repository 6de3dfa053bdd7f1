package gamelan

import (
	"context"
	"errors"
	"fmt"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Stream is a substream that this node has opened, and its protocol.
type Stream struct {
	protocol.Stream
	Protocol protocol.ID
}

// openTries is how many connections OpenStream tries, because a connection that is still
// listed may have ended already.
const openTries = 3

// OpenStream opens a substream to a peer, and dials the peer if necessary. The substream
// has the first of the protocols that the peer accepts. The caller must Close it. ctx
// bounds only the opening: the stream stays open when ctx ends. Bound reads and writes
// with SetDeadline, or close the stream when a context ends:
//
//	defer context.AfterFunc(ctx, func() { stream.Close() })()
//
// The error is one of [Node.Dial]; [negotiate.ErrUnsupported] if the peer accepts none of
// the protocols, with the list of those that the peer has announced;
// [ErrOverloaded] if too many callers wait for a substream on the connection;
// [ErrConnectionClosed]; or ctx's.
func (n *Node) OpenStream(ctx context.Context, peer identity.NodeID, ids ...protocol.ID) (*Stream, error) {
	if len(ids) == 0 {
		return nil, fmt.Errorf("gamelan: open stream to peer %s: no protocol was named; name at least one", peer)
	}
	for try := 1; ; try++ {
		ref, err := n.Dial(ctx, peer)
		var s *Stream
		switch {
		case err == nil:
			s, err = n.openOn(ctx, ref, ids)
		case !errors.Is(err, actors.ErrConnectionClosed) || try == openTries:
			return nil, err
		}
		switch {
		case err == nil:
			return s, nil
		case n.stopping():
			return nil, ErrClosed
		case !errors.Is(err, actors.ErrConnectionClosed) || try == openTries:
			return nil, peerError("open stream to", peer, err)
		}
	}
}

func (n *Node) openOn(ctx context.Context, ref *Connection, ids []protocol.ID) (*Stream, error) {
	r, err := supervisor.Ask[any](ctx, n.trunk.System(), ref.PID, actors.NewOpenSubstream(n.trunk.System(), 0, nil, ids...))
	switch {
	case errors.Is(err, supervisor.ErrNoActor):
		return nil, actors.ErrConnectionClosed
	case err != nil:
		return nil, err
	}
	switch r := r.(type) {
	case actors.SubstreamOpened:
		if s, ok := r.Stream.Take(); ok {
			return &Stream{s, r.Protocol}, nil
		}
	case actors.SubstreamFailed:
		return nil, r.Err
	}
	return nil, actors.ErrConnectionClosed
}
