package dht

import (
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
)

// Outgoing is a message of our own on its way through the outbound chain.
type Outgoing struct {
	Now  time.Time // of a clock that never steps
	Wall time.Time // the system's clock
	Message
	// Peers get the message, encoded as Envelope. Both are set from [BeforeWrite]
	// on.
	Peers    []identity.NodeID
	Envelope wire.Envelope
}

// SendHandler is a step of sending a message of our own. An error ends the message.
type SendHandler func(*Outgoing) error

// SendLayer returns a handler that stands in front of next. The handler must neither
// block nor keep the message. It ends a message by returning an error that says why,
// or by not calling next. Changes that it makes after calling next have no effect.
type SendLayer func(next SendHandler) SendHandler

// SendPosition is where a layer of the application stands in the outbound chain.
// Relayed messages do not go through these layers.
type SendPosition uint8

const (
	// BeforeSelect: the message is as the application sent it, and the layer may
	// change all of it.
	BeforeSelect SendPosition = iota
	// BeforeWrite: the message is encrypted and signed, and the layer may change
	// Peers. Other nodes refuse a message whose signed fields a layer changes.
	BeforeWrite
	sendPositions
)

// String returns the name of the position.
func (p SendPosition) String() string {
	switch p {
	case BeforeSelect:
		return "before select"
	case BeforeWrite:
		return "before write"
	}
	return fmt.Sprintf("position %d", uint8(p))
}

// Valid reports whether the position exists.
func (p SendPosition) Valid() bool { return p < sendPositions }

// sendChain is the layers of a position, in front of a step of the chain.
type sendChain struct {
	at      SendPosition
	h       SendHandler
	reached bool // the last message came to the end of the layers
	out     Outgoing
	err     error
}

func newSendChain(layers map[SendPosition][]SendLayer, at SendPosition, end SendHandler) *sendChain {
	c := &sendChain{at: at}
	c.h = func(out *Outgoing) error {
		c.reached = true
		c.err = end(out)
		c.out = *out
		c.out.Peers = slices.Clone(out.Peers)
		return c.err
	}
	for _, l := range slices.Backward(layers[at]) {
		c.h = l(c.h)
	}
	return c
}

// run takes a message through the layers and returns it as it came to their end. It
// fails if the message does not come to the end, even if the layers return no error,
// and if a layer panics.
func (c *sendChain) run(out *Outgoing) (end Outgoing, err error) {
	defer func() {
		c.reached, c.out, c.err = false, Outgoing{}, nil
		if v := recover(); v != nil {
			err = &LayerPanic{Layer: c.at.String(), Value: v, Stack: debug.Stack()}
		}
	}()
	if err := c.h(out); err != nil {
		return *out, err
	}
	if !c.reached {
		return *out, errSwallowed
	}
	return c.out, c.err
}

// LayerPanic reports a layer that panicked on a message.
type LayerPanic struct {
	Layer string // the position where it stands
	Value any
	Stack []byte // of the panic
}

// Error names the layer's position and the value of the panic.
func (p *LayerPanic) Error() string {
	return fmt.Sprintf("dht: panic in a layer %s: %v", p.Layer, p.Value)
}
