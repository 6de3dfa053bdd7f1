package comms

import (
	"errors"

	"github.com/gamelan-p2p/gamelan/internal/kad/nativewire"
)

var (
	// ErrNotListed reports a peer that does not say that it has the key-value DHT: it is not
	// asked.
	ErrNotListed = errors.New("kad: the peer does not list the protocol")
	// ErrBacklog reports a peer that reads too slowly what is sent to it.
	ErrBacklog = errors.New("kad: too much waits to be written to the peer")
	// ErrGone reports an answer to a peer whose substream has ended.
	ErrGone = errors.New("kad: the substream of the request has ended")
)

// Offences of peers.
var (
	errOversized = nativewire.ErrTooLong
	errUnasked   = errors.New("kad: an answer that nobody asked for")
	errFlood     = errors.New("kad: requests without waiting for answers")
	errOtherKey  = errors.New("kad: the claim is of another key than that of the connection")
)
