package memory

import (
	"fmt"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/transport"
)

// backlog is how many connections may wait for Accept; above it, dials wait too.
const backlog = 128

type listener struct {
	t     *Transport
	port  uint16
	addr  ma.Multiaddr
	slots chan struct{} // one for each connection in queue or about to enter it
	some  chan struct{} // holds one token while queue may not be empty
	done  chan struct{} // closed with the listener
	queue []*Conn       // guarded by the network's lock
}

func newListener(t *Transport, port uint16) *listener {
	return &listener{
		t:     t,
		port:  port,
		addr:  multiaddr(port),
		slots: make(chan struct{}, backlog),
		some:  make(chan struct{}, 1),
		done:  make(chan struct{}),
	}
}

func (l *listener) Multiaddr() ma.Multiaddr { return l.addr }

func (l *listener) wake() {
	select {
	case l.some <- struct{}{}:
	default:
	}
}

func (l *listener) Accept() (transport.Conn, error) {
	for {
		select {
		case <-l.some:
		case <-l.done:
			return nil, fmt.Errorf("%w: accept on %s", transport.ErrClosed, l.addr)
		}
		if c, more := l.pop(); c != nil {
			if more {
				l.wake()
			}
			<-l.slots
			return c, nil
		}
	}
}

func (l *listener) pop() (c *Conn, more bool) {
	l.t.net.mu.Lock()
	defer l.t.net.mu.Unlock()
	if len(l.queue) == 0 {
		return nil, false
	}
	c = l.queue[0]
	l.queue = l.queue[1:]
	return c, len(l.queue) > 0
}

// Close frees the port and resets the connections that were not accepted.
func (l *listener) Close() error {
	n := l.t.net
	n.mu.Lock()
	if n.listeners[l.port] != l {
		n.mu.Unlock()
		return fmt.Errorf("%w: close the listener on %s", transport.ErrClosed, l.addr)
	}
	delete(n.listeners, l.port)
	delete(n.reserved, l.port)
	waiting := l.queue
	l.queue = nil
	n.mu.Unlock()
	close(l.done)
	for _, c := range waiting {
		c.wire.cut()
		c.Close()
	}
	return nil
}
