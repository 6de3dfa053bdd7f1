package gamelantest

import (
	"slices"
	"sync"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
)

// Collector remembers the messages that nodes hear, in order. Its New method
// is what [gamelan.WithHandler] and [gamelan.WithType] take; it outlives the
// actors that New makes, so a restart loses nothing.
type Collector struct {
	mu        sync.Mutex
	messages  []actors.Received
	delivered []dht.Received
	bodies    []string
	gate      chan struct{} // nil: open
}

// NewCollector returns a Collector that has heard nothing.
func NewCollector() *Collector { return new(Collector) }

// New makes a handler of messages.
func (c *Collector) New(*gamelan.Node) actor.Actor { return collecting{c} }

type collecting struct{ *Collector }

// Receive remembers what it hears.
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

// Messages returns the plain messages that were heard so far, in order.
func (c *Collector) Messages() []actors.Received {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.messages)
}

// Delivered returns the messages of the DHT that were heard so far, in order.
func (c *Collector) Delivered() []dht.Received {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.delivered)
}

// Bodies returns what was heard so far as text, in order.
func (c *Collector) Bodies() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.bodies)
}

// Len returns how many messages were heard.
func (c *Collector) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.bodies)
}

// Block makes the handler stop in the middle of the next message until unblock
// is called, as one that waits for something slow would. An actor that blocks
// cannot be stopped: unblock before the node is closed.
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
