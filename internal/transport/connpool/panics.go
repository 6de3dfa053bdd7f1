package connpool

import (
	"time"

	"github.com/gamelan-p2p/gamelan/internal/lru"
)

// MaxPanics contained panics on one connection's messages within PanicWindow close the
// connection. The bug is this node's, so there is no ban.
const (
	MaxPanics   = 3
	PanicWindow = time.Minute
)

// maxTracked is the greatest number of connections remembered for panics.
const maxTracked = 4096

// Panics counts contained panics by connection, which K names. The zero value
// is ready. A Panics is not safe for concurrent use.
type Panics[K comparable] struct {
	times lru.Map[K, [MaxPanics - 1]time.Time] // newest first
}

// Count counts one panic and reports whether to close the connection. If so, it forgets the
// connection.
func (p *Panics[K]) Count(now time.Time, conn K) (closeIt bool) {
	p.times.Most = maxTracked
	last := p.times.Use(conn)
	if oldest := last[MaxPanics-2]; !oldest.IsZero() && now.Sub(oldest) < PanicWindow {
		p.Forget(conn)
		return true
	}
	copy(last[1:], last[:])
	last[0] = now
	return false
}

// Forget is called when a connection has ended.
func (p *Panics[K]) Forget(conn K) { p.times.Delete(conn) }
