package dht

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// RelayBytes is the default limit of bytes that are relayed for one source in any 60
// s. MaxRelayBytes is the highest limit that can be set.
const (
	RelayBytes    = 256 << 20
	MaxRelayBytes = 1 << 30
)

// ErrRelayBytes reports a message that is not relayed because its source is over its
// limit of bytes.
var ErrRelayBytes = errors.New("dht: too many relayed bytes of this source")

// RelayMeter limits the bytes that are relayed for each source in any 60 s. It counts
// by whole seconds, and a message once, however many copies of it go out. Its methods
// may be called from any goroutine.
type RelayMeter[K comparable] struct {
	limit int

	mu      sync.Mutex
	sources windows[K]
	refused uint64
}

// NewRelayMeter returns a meter with a limit of at most [MaxRelayBytes]; 0 is
// [RelayBytes].
func NewRelayMeter[K comparable](limit int64) *RelayMeter[K] {
	if limit <= 0 {
		limit = RelayBytes
	}
	return &RelayMeter[K]{limit: int(min(limit, MaxRelayBytes))}
}

// Take counts a message of n bytes, or fails with [ErrRelayBytes] if the message would
// exceed the source's limit.
func (m *RelayMeter[K]) Take(now time.Time, source K, n int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.sources.at(now, source)
	if n > m.limit-s.sum {
		m.refused += uint64(n)
		return fmt.Errorf("%w: %d in %d s, the limit is %d", ErrRelayBytes, s.sum, floodSeconds, m.limit)
	}
	s.add(n)
	return nil
}

// RelayStats describes a [RelayMeter].
type RelayStats struct {
	Sources int    // remembered sources
	Limit   int64  // bytes of each in 60 s
	Refused uint64 // bytes beyond the limit, of all sources
}

// Stats returns the meter's numbers.
func (m *RelayMeter[K]) Stats() RelayStats {
	m.mu.Lock()
	defer m.mu.Unlock()
	return RelayStats{Sources: m.sources.of.Len(), Limit: int64(m.limit), Refused: m.refused}
}
