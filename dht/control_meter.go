package dht

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gamelan-p2p/gamelan/dht/wire"
)

// Limits of the announcements and searches of one source whose signatures are verified. An
// honest neighbour relays each once, and a network of 1,000 nodes that start within a minute
// sends about 20 a second.
const (
	ControlsPerSecond = 400   // in a second, by the node's clock
	ControlsPerMinute = 6_000 // in any 60 s
)

// Limits of exempt sources, which have no address: a key costs nothing there, so a peer that
// connects again with another key is another source. All of them together have four times as
// much as one source. The first few messages of each are not refused for the others' sake:
// they cost less than the handshake of their connection.
const (
	ControlsTogether = 4  // times the limits of one source
	ControlsAlone    = 10 // of one exempt source in any 60 s, beside the limit of all
)

// ErrControls reports an announcement or a search that is dropped, because its source sends
// too many of them.
var ErrControls = errors.New("dht: too many announcements and searches of this source")

// ControlMeter limits the announcements and searches of each source before their signatures
// are verified, so that a source cannot use up the node's time with valid messages of new
// identities. Its methods may be called from any goroutine. The zero value is ready to use.
type ControlMeter[K comparable] struct {
	mu      sync.Mutex
	sources windows[K]
	exempt  perSecond // of all exempt sources together, without the first of each
}

// Take counts an encoded message, or fails with [ErrControls] if it is an announcement or a
// search beyond a limit of its source, or of all exempt sources if its source is one. Other
// messages are not counted.
func (m *ControlMeter[K]) Take(now time.Time, source K, exempt bool, envelope []byte) error {
	switch t, _ := wire.PeekType(envelope); t {
	case wire.TypeJoin, wire.TypeDiscovery, wire.TypeDiscoveryResponse:
	default:
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.sources.at(now, source)
	switch {
	case s.newest() >= ControlsPerSecond:
		return fmt.Errorf("%w: the limit is %d in a second", ErrControls, ControlsPerSecond)
	case s.sum >= ControlsPerMinute:
		return fmt.Errorf("%w: the limit is %d in %d s", ErrControls, ControlsPerMinute, floodSeconds)
	}
	if exempt && s.sum >= ControlsAlone {
		m.exempt.advance(m.exempt.second(now))
		if m.exempt.newest() >= ControlsTogether*ControlsPerSecond || m.exempt.sum >= ControlsTogether*ControlsPerMinute {
			return fmt.Errorf("%w: the limit of all sources without an address is %d in a second and %d in %d s",
				ErrControls, ControlsTogether*ControlsPerSecond, ControlsTogether*ControlsPerMinute, floodSeconds)
		}
		m.exempt.add(1)
	}
	s.add(1)
	return nil
}
