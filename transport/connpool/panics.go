package connpool

import "time"

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
	times map[K][MaxPanics - 1]time.Time // newest first
	order []K
}

// Count counts one panic and reports whether to close the connection. If so, it forgets the
// connection.
func (p *Panics[K]) Count(now time.Time, conn K) (closeIt bool) {
	if p.times == nil {
		p.times = make(map[K][MaxPanics - 1]time.Time)
	}
	last, known := p.times[conn]
	if oldest := last[MaxPanics-2]; !oldest.IsZero() && now.Sub(oldest) < PanicWindow {
		p.Forget(conn)
		return true
	}
	copy(last[1:], last[:])
	last[0] = now
	p.times[conn] = last
	if !known {
		p.order = append(p.order, conn)
		if len(p.order) > maxTracked {
			delete(p.times, p.order[0])
			p.order = p.order[1:]
		}
	}
	return false
}

// Forget is called when a connection has ended.
func (p *Panics[K]) Forget(conn K) {
	if _, known := p.times[conn]; !known {
		return
	}
	delete(p.times, conn)
	for i, k := range p.order {
		if k == conn {
			p.order = append(p.order[:i], p.order[i+1:]...)
			return
		}
	}
}
