package memory

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/transport"
)

// Addr is a port of a [Network] as a net.Addr; 0 is the dialling end.
type Addr uint16

// Network returns "memory".
func (Addr) Network() string { return "memory" }

// String returns the multiaddr as text.
func (a Addr) String() string { return fmt.Sprintf("/memory/%d", uint16(a)) }

func multiaddr(port uint16) ma.Multiaddr {
	return ma.StringCast(Addr(port).String())
}

// portOf returns the number in a /memory address, which need not be a port.
func portOf(a ma.Multiaddr) (port uint64, ok bool) {
	if len(a) != 1 || a[0].Code() != ma.P_MEMORY {
		return 0, false
	}
	v := a[0].RawValue()
	if len(v) != 8 {
		return 0, false
	}
	return binary.BigEndian.Uint64(v), true
}

// Transport is one node's transport on a [Network].
type Transport struct {
	net   *Network
	ports map[uint16]bool // ports on which it has listened; guarded by net.mu
}

var _ transport.Transport = (*Transport)(nil)

// Network returns the network of the transport.
func (t *Transport) Network() *Network { return t.net }

// Name returns "memory".
func (t *Transport) Name() string { return "memory" }

// Handles reports whether a is a /memory address and nothing else.
func (t *Transport) Handles(a ma.Multiaddr) bool {
	_, ok := portOf(a)
	return ok
}

// Partition separates the nodes of t and o, even if neither listens. See
// [Network.Partition].
func (t *Transport) Partition(o *Transport) { t.net.partition(point{t: t}, point{t: o}) }

// Kill resets all connections of the node of t, as the end of its process does, and lets nothing to or from it
// through any more. It returns the number of connections.
func (t *Transport) Kill() int {
	t.net.partition(point{t: t}, point{all: true})
	return t.net.cut(point{t: t}, point{all: true})
}

// Heal undoes [Transport.Partition].
func (t *Transport) Heal(o *Transport) { t.net.heal(point{t: t}, point{t: o}) }

// Dial connects to the listener on a. It fails at once with
// [transport.ErrAddressNotAvailable] for an unknown port. It waits, until ctx ends, for a
// listener that does not accept or is behind a partition.
func (t *Transport) Dial(ctx context.Context, a ma.Multiaddr) (transport.Conn, error) {
	port, ok := portOf(a)
	if !ok {
		return nil, &transport.DialError{Addr: a, Stage: transport.StageAddress, Err: transport.ErrUnsupported}
	}
	if port > math.MaxUint16 {
		return nil, &transport.DialError{Addr: a, Stage: transport.StageAddress, Err: fmt.Errorf("%w: ports end at 65535", transport.ErrUnsupported)}
	}
	c, err := t.dial(ctx, uint16(port))
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				err = fmt.Errorf("%w: %w", transport.ErrTimeout, err)
			}
		}
		return nil, &transport.DialError{Addr: a, Stage: transport.StageConnect, Err: err}
	}
	return c, nil
}

func (t *Transport) dial(ctx context.Context, port uint16) (*Conn, error) {
	l, err := t.find(ctx, port)
	if err != nil {
		return nil, err
	}
	select {
	case l.slots <- struct{}{}:
	case <-l.done:
		return nil, transport.ErrAddressNotAvailable
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	c, err := t.net.connect(t, l)
	if err != nil {
		<-l.slots
		return nil, err
	}
	l.wake()
	return c, nil
}

// find waits for the link's round trip and the end of any partition, and
// returns the listener of a port.
func (t *Transport) find(ctx context.Context, port uint16) (*listener, error) {
	for waited := false; ; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		t.net.mu.Lock()
		l := t.net.listeners[port]
		to := end{port: port}
		if l != nil {
			to.t = l.t
		}
		link, parted := t.net.state(end{t: t}, to)
		if !parted && (waited || link.Latency <= 0) {
			t.net.mu.Unlock()
			if l == nil {
				return nil, transport.ErrAddressNotAvailable
			}
			return l, nil
		}
		var again chan struct{}
		if parted {
			again = make(chan struct{})
			t.net.dialers = append(t.net.dialers, again)
		}
		t.net.mu.Unlock()
		if err := pause(ctx, again, 2*link.Latency); err != nil {
			t.net.forget(again)
			return nil, err
		}
		waited = !parted
	}
}

// pause waits until again is closed, or, if again is nil, for d.
func pause(ctx context.Context, again <-chan struct{}, d time.Duration) error {
	var passed <-chan time.Time
	if again == nil {
		timer := time.NewTimer(d)
		defer timer.Stop()
		passed = timer.C
	}
	select {
	case <-again:
	case <-passed:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// Listen binds a; /memory/0 takes the next free port.
func (t *Transport) Listen(ctx context.Context, a ma.Multiaddr) (transport.Listener, error) {
	fail := func(err error) (transport.Listener, error) {
		return nil, &transport.ListenError{Addr: a, Err: err}
	}
	number, ok := portOf(a)
	if !ok {
		return fail(transport.ErrUnsupported)
	}
	if number > math.MaxUint16 {
		return fail(fmt.Errorf("%w: ports end at 65535", transport.ErrUnsupported))
	}
	if err := ctx.Err(); err != nil {
		return fail(context.Cause(ctx))
	}
	n := t.net
	n.mu.Lock()
	defer n.mu.Unlock()
	port := uint16(number)
	if port == 0 {
		var err error
		if port, err = n.freePort(); err != nil {
			return fail(err)
		}
	}
	if n.listeners[port] != nil {
		return fail(transport.ErrAddressInUse)
	}
	l := newListener(t, port)
	n.listeners[port] = l
	t.ports[port] = true
	return l, nil
}
