package gamelantest

import (
	"context"
	"slices"
	"sync"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
)

// Collector records the messages that nodes receive, in order. Pass its New method to
// [gamelan.WithHandler] or [gamelan.WithType]. The Collector outlives the actors that New
// makes, so a restart loses nothing.
type Collector struct {
	mu        sync.Mutex
	messages  []actors.Received
	delivered []dht.Received
	bodies    []string
	gate      chan struct{} // nil: open
}

// NewCollector returns an empty Collector.
func NewCollector() *Collector { return new(Collector) }

// New returns an actor that records its messages in c.
func (c *Collector) New(*gamelan.Node) actor.Actor { return collecting{c} }

type collecting struct{ *Collector }

// Receive records messages.
func (c collecting) Receive(ctx actor.Context) {
	c.mu.Lock()
	switch m := ctx.Message().(type) {
	case actors.Received:
		c.messages = append(c.messages, m)
		c.bodies = append(c.bodies, string(m.Body))
	case dht.Received:
		c.delivered = append(c.delivered, m)
		c.bodies = append(c.bodies, string(m.Body))
	default:
		c.mu.Unlock()
		return
	}
	gate := c.gate
	c.mu.Unlock()
	if gate != nil {
		<-gate
	}
}

// Hear records a message; pass it to [gamelan.WithMessages]. Hear returns nil, or ctx's
// error if ctx ends while the Collector is blocked. Messages and Delivered do not have
// these messages; Bodies and Len do.
func (c *Collector) Hear(ctx context.Context, m gamelan.Message) error {
	c.mu.Lock()
	c.bodies = append(c.bodies, string(m.Body))
	gate := c.gate
	c.mu.Unlock()
	if gate == nil {
		return nil
	}
	select {
	case <-gate:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Messages returns the plain messages received so far, in order.
func (c *Collector) Messages() []actors.Received {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.messages)
}

// Delivered returns the messages received over the DHT so far, in order.
func (c *Collector) Delivered() []dht.Received {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.delivered)
}

// Bodies returns the bodies of all messages so far as text, in order.
func (c *Collector) Bodies() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.bodies)
}

// Len returns the number of messages so far.
func (c *Collector) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.bodies)
}

// Block makes the handler block in the middle of the next message, like a slow one, until
// unblock is called. An actor that blocks cannot be stopped: call unblock before the node
// is closed.
func (c *Collector) Block() (unblock func()) {
	gate := make(chan struct{})
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gate != nil {
		panic("gamelantest: the Collector is blocked already")
	}
	c.gate = gate
	return sync.OnceFunc(func() {
		c.mu.Lock()
		c.gate = nil
		c.mu.Unlock()
		close(gate)
	})
}
