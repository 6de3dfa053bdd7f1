package streams

import (
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Backlog is how many streams may wait for Accept.
const Backlog = 128

// Listener is a net.Listener of the streams that peers open to a protocol.
type Listener struct {
	addr   net.Addr
	remote func(actors.SubstreamOpened) net.Addr
	stop   func() error // unregisters the actor
	over   <-chan struct{}

	gone   atomic.Bool // Close was called
	once   sync.Once
	closed chan struct{}
	came   chan struct{} // wakes one Accept

	mu       sync.Mutex
	places   *places[*Conn] // of those that wait
	waiting  []*Conn
	accepted uint64
}

var _ net.Listener = (*Listener)(nil)

// NewListener makes a Listener whose actor is to be registered. remote returns the address of a peer.
// stop unregisters the actor; over is closed at the end of the node.
func NewListener(addr net.Addr, remote func(actors.SubstreamOpened) net.Addr, stop func() error, over <-chan struct{}) *Listener {
	return &Listener{
		addr: addr, remote: remote, stop: stop, over: over,
		closed: make(chan struct{}), came: make(chan struct{}, 1), places: newPlaces[*Conn](Backlog),
	}
}

// Accept returns the next stream. After Close, and after the end of the node, the error is
// [net.ErrClosed].
func (l *Listener) Accept() (net.Conn, error) {
	for {
		if c := l.next(); c != nil {
			return c, nil
		}
		select {
		case <-l.came:
		case <-l.closed:
			return nil, l.failed()
		case <-l.over:
			return nil, l.failed()
		}
	}
}

func (l *Listener) failed() error {
	return &net.OpError{Op: "accept", Net: Network, Addr: l.addr, Err: net.ErrClosed}
}

// next takes the first stream that waits, and wakes another Accept if more do.
func (l *Listener) next() *Conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) == 0 {
		return nil
	}
	c := l.waiting[0]
	l.waiting[0] = nil
	l.waiting = l.waiting[1:]
	l.places.leave(c)
	l.accepted++
	if len(l.waiting) > 0 {
		l.wake()
	}
	return c
}

func (l *Listener) wake() {
	select {
	case l.came <- struct{}{}:
	default:
	}
}

// Close takes the protocol back, and resets what nobody has accepted. Accepted streams stay open.
func (l *Listener) Close() error {
	switch again := l.gone.Swap(true); {
	case again:
		return &net.OpError{Op: "close", Net: Network, Addr: l.addr, Err: net.ErrClosed}
	case !l.end(): // with its protocol, or the node
		return nil
	}
	return l.stop()
}

// end ends Accept and what waits for it, and reports whether that had not ended.
func (l *Listener) end() (first bool) {
	l.once.Do(func() {
		first = true
		close(l.closed)
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, c := range l.waiting {
			_ = reset(c.stream)
		}
		l.waiting = nil
	})
	return first
}

// Addr returns the address of this node.
func (l *Listener) Addr() net.Addr { return l.addr }

// New makes an incarnation of the actor.
func (l *Listener) New() actor.Actor { return &acceptor{l} }

// acceptor puts streams in line.
//
// In: SubstreamOpened. Out: nothing. A restart loses nothing. When its protocol is unregistered, the
// listener is closed.
type acceptor struct{ *Listener }

func (a *acceptor) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case actors.SubstreamOpened:
		a.opened(m, supervisor.Now(c))
	case *actor.Stopped:
		a.end()
	default:
		supervisor.Unhandled(c)
	}
}

func (l *Listener) opened(m actors.SubstreamOpened, now time.Time) {
	stream, ok := m.Stream.Take()
	if !ok {
		return
	}
	conn := NewConn(stream, l.addr, l.remote(m))
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.closed:
		_ = reset(stream)
		return
	default:
	}
	l.waiting = append(l.waiting, conn)
	if out, full := l.places.enter(base.HolderOf(m.Conn, now), conn); full {
		_ = reset(out.stream)
		l.waiting = slices.DeleteFunc(l.waiting, func(c *Conn) bool { return c == out })
	}
	l.wake()
}

// String is the actor's line in the tree.
func (l *Listener) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := fmt.Sprintf("%d of at most %d streams wait for Accept, %s accepted", len(l.waiting), Backlog, inspect.Number(l.accepted))
	if n := l.places.evicted; n > 0 {
		text += fmt.Sprintf(", %s evicted", inspect.Number(n))
	}
	return text
}
