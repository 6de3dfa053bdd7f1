package anchors

import (
	"net"
	"sync"
)

// gatherLimit is how much may wait in a gatherer before Write blocks.
const gatherLimit = 128 << 10

// gatherer collects the writes of a multiplexer while an earlier one is still
// under way, and hands them on as one. It is the "g" of the path cases.
type gatherer struct {
	net.Conn
	mu      sync.Mutex
	changed sync.Cond
	waiting []byte
	err     error
}

func gather(c net.Conn) *gatherer {
	g := &gatherer{Conn: c}
	g.changed.L = &g.mu
	go g.flush()
	return g
}

func (g *gatherer) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for len(g.waiting) > gatherLimit && g.err == nil {
		g.changed.Wait()
	}
	if g.err != nil {
		return 0, g.err
	}
	if len(g.waiting) == 0 {
		g.changed.Broadcast()
	}
	g.waiting = append(g.waiting, p...)
	return len(p), nil
}

func (g *gatherer) flush() {
	var out []byte
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.err == nil {
		for len(g.waiting) == 0 && g.err == nil {
			g.changed.Wait()
		}
		out, g.waiting = g.waiting, out[:0]
		g.changed.Broadcast()
		g.mu.Unlock()
		_, err := g.Conn.Write(out)
		g.mu.Lock()
		if err != nil && g.err == nil {
			g.err = err
			g.changed.Broadcast()
		}
	}
}

func (g *gatherer) Close() error {
	g.mu.Lock()
	if g.err == nil {
		g.err = net.ErrClosed
	}
	g.changed.Broadcast()
	g.mu.Unlock()
	return g.Conn.Close()
}
