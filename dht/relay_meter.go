package dht

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// RelayBytes is how many bytes of messages for others are passed on for one source
// in any 60 s unless said otherwise, and MaxRelayBytes the most that can be said.
const (
	RelayBytes    = 256 << 20
	MaxRelayBytes = 1 << 30
)

// ErrRelayBytes reports a message that is not passed on because its source has had
// its bytes.
var ErrRelayBytes = errors.New("dht: too many bytes for others from this source")

// RelayMeter bounds the bytes of messages that are passed on for each source, by
// whole seconds: never more than the limit in any 60 s. A message counts once,
// however many copies of it go out. Each call is one step and may come from any
// goroutine.
type RelayMeter[K comparable] struct {
	limit int

	mu      sync.Mutex
	sources windows[K]
	refused uint64
}

// NewRelayMeter returns a meter with that limit, [MaxRelayBytes] at most; 0 is
// [RelayBytes].
func NewRelayMeter[K comparable](limit int64) *RelayMeter[K] {
	if limit <= 0 {
		limit = RelayBytes
	}
	return &RelayMeter[K]{limit: int(min(limit, MaxRelayBytes))}
}

// Take counts a message of n bytes, unless the source has had so many that this one
// would be too much: then it is an [ErrRelayBytes], and does not count.
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

// RelayStats says what a [RelayMeter] knows.
type RelayStats struct {
	Sources int    // that are remembered
	Limit   int64  // bytes of each in 60 s
	Refused uint64 // bytes that were too much
}

// Stats returns what the meter knows.
func (m *RelayMeter[K]) Stats() RelayStats {
	m.mu.Lock()
	defer m.mu.Unlock()
	return RelayStats{Sources: len(m.sources.of), Limit: int64(m.limit), Refused: m.refused}
}
