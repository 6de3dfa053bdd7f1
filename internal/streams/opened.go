package streams

import (
	"errors"
	"fmt"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/internal/transport/mux"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Held returns a stream whose protocol the peer has not confirmed, since its name leaves with the
// first bytes. A peer that has withdrawn the protocol meanwhile can only reset the stream; the first
// Read says so.
func Held(s protocol.Stream, with *actors.ConnRef, id protocol.ID) protocol.Stream {
	return &held{Stream: s, with: with, id: id}
}

type held struct {
	protocol.Stream
	with  *actors.ConnRef
	id    protocol.ID
	heard bool // the peer has sent something
}

func (h *held) Read(p []byte) (int, error) {
	n, err := h.Stream.Read(p)
	switch {
	case n > 0:
		h.heard = true
	case h.heard || !errors.Is(err, mux.ErrResetByPeer):
	case !h.with.Accepts(h.id):
		return n, fmt.Errorf("the peer has withdrawn %q; what was written may have been handled (%w)", h.id, err)
	default:
		return n, fmt.Errorf("the peer has answered nothing for %q: it may have withdrawn the protocol a moment ago (%w)", h.id, err)
	}
	return n, err
}

// Reset resets the stream.
func (h *held) Reset() error { return reset(h.Stream) }

// Finish is CloseWrite and Close, and never waits.
func (h *held) Finish() error { return Finish(h.Stream) }
