package kad

import (
	"context"
	"errors"
	"fmt"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/kad/overlay"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Gateway carries packets over a network of the user's. Its methods may block; they are called
// in tasks: Receive by one, and Send by another one.
//
// spec: kad B11
type Gateway interface {
	// Addresses lead to the gateway.
	Addresses() []Address
	// Receive returns the next packet. An [*overlay.DecodeError] is a bad message of a peer, which
	// is counted; any other error ends the gateway, which is then opened again.
	Receive(ctx context.Context) (Incoming, error)
	// Send sends a packet. After an error the packet counts as lost on the way.
	Send(ctx context.Context, o Outgoing) error
	// Close ends calls of Receive and Send that are under way.
	Close() error
}

// BlockingOptions describe a [Network] that is made of a [Gateway].
type BlockingOptions struct {
	Label  string // for people
	Limits Limits
	// CanReach reports whether a contact at this address can be asked. Nil: at any address.
	CanReach func(Address) bool
	// Open opens the gateway. It is called again after a failure.
	Open func(ctx context.Context) (Gateway, error)
}

// maxUnsent is how many packets may wait for a [Gateway]; further ones are lost.
const maxUnsent = 256

var (
	errNotBound = errors.New("kad: the gateway is opening")
	errUnsent   = errors.New("kad: too many packets wait for the gateway")
	errNoOpen   = fmt.Errorf("%w: BlockingOptions.Open is not set", ErrConfig)
)

// Blocking returns a network over a [Gateway], whose calls may block. Answers are sent before
// requests that wait.
func Blocking(o BlockingOptions) Network { return &blocking{o} }

type blocking struct{ o BlockingOptions }

// Label is that of the options.
func (n *blocking) Label() string { return n.o.Label }

// Limits are those of the options.
func (n *blocking) Limits() Limits { return n.o.Limits }

// Route returns the first address that the gateway can reach.
func (n *blocking) Route(c Contact) Address {
	for _, a := range c.Addresses {
		if n.o.CanReach == nil || n.o.CanReach(a) {
			return a
		}
	}
	return ""
}

// Open opens the gateway in a task.
func (n *blocking) Open(c actor.Context, p *Port) Link {
	open := n.o.Open
	supervisor.Do(c, "open", func(ctx context.Context) (*supervisor.Handover[Gateway], error) {
		if open == nil {
			return nil, errNoOpen
		}
		g, err := open(ctx)
		if err != nil {
			return nil, err
		}
		return supervisor.Hand(g, nil), nil
	})
	return &blockingLink{n: n, port: p}
}

// blockingLink is an open gateway of the user's.
type blockingLink struct {
	n                 *blocking
	port              *Port
	gateway           Gateway // nil until it is open
	answers, requests []Outgoing
	sending           bool
	flushing          bool // the client closes
}

// wroteOne reports that a Send has ended.
type wroteOne struct{}

// Send queues a packet.
func (l *blockingLink) Send(c actor.Context, o Outgoing) error {
	switch {
	case l.gateway == nil:
		return errNotBound
	case len(l.answers)+len(l.requests) >= maxUnsent:
		return errUnsent
	case o.Answer:
		l.answers = append(l.answers, o)
	default:
		l.requests = append(l.requests, o)
	}
	if size := l.n.o.Limits.Size; size != nil {
		l.port.Sent(size(&o.Message))
	}
	l.flush(c)
	return nil
}

// Flush goes on until all packets are sent.
func (l *blockingLink) Flush(c actor.Context) {
	l.flushing = true
	l.flush(c)
}

// flush has the next packet sent, unless one is under way.
func (l *blockingLink) flush(c actor.Context) {
	queue := &l.answers
	if len(*queue) == 0 {
		queue = &l.requests
	}
	if l.flushing && !l.sending && len(*queue) == 0 {
		l.port.Flushed()
	}
	if l.sending || len(*queue) == 0 {
		return
	}
	l.sending = true
	g, o := l.gateway, (*queue)[0]
	*queue = (*queue)[1:]
	supervisor.Do(c, "send", func(ctx context.Context) (wroteOne, error) { return wroteOne{}, g.Send(ctx, o) })
}

// Receive takes the open gateway. When its reading task ends, the actor fails, and opens a new
// one.
func (l *blockingLink) Receive(c actor.Context) bool {
	switch m := c.Message().(type) {
	case supervisor.Done[*supervisor.Handover[Gateway]]:
		if m.Err != nil {
			l.port.Failed(m.Err)
			return true
		}
		if g, ok := m.Value.Take(); ok {
			l.opened(c, g)
		}
	case supervisor.Done[wroteOne]:
		if m.Err != nil {
			l.port.gate.core.figures.countRefusal("not sent")
		}
		l.sending = false
		l.flush(c)
	case supervisor.TaskDone:
		panic(fmt.Errorf("kad: %s: %w", l.n.o.Label, m.Err))
	default:
		return false
	}
	return true
}

func (l *blockingLink) opened(c actor.Context, g Gateway) {
	l.gateway = g
	port := l.port
	supervisor.GoLong(c, "receive", g, func(ctx context.Context) error {
		for {
			in, err := g.Receive(ctx)
			bad := (*overlay.DecodeError)(nil)
			switch {
			case err == nil:
				port.Deliver(in)
			case errors.As(err, &bad):
				port.Malformed(in.Address, err)
			default:
				return err
			}
		}
	})
	port.Opened(g.Addresses()...)
}
