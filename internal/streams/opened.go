package streams

import (
	"errors"
	"fmt"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/internal/protocol/negotiate"
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
	case h.heard || !errors.Is(err, mux.ErrReset):
	case !h.with.Accepts(h.id):
		return n, fmt.Errorf("%w: the peer has withdrawn %q (%w)", negotiate.ErrUnsupported, h.id, err)
	default:
		return n, fmt.Errorf("the peer took nothing for %q: it has withdrawn the protocol a moment ago, or its handler failed (%w)", h.id, err)
	}
	return n, err
}

// Finish is CloseWrite and Close, and never waits.
func (h *held) Finish() error { return Finish(h.Stream) }
