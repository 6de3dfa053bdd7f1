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
	Now  time.Time // measures, and never steps
	Wall time.Time // the system's clock
	Message
	// Peers are who it goes to, Envelope is what they get: both are there from
	// [BeforeWrite] on.
	Peers    []identity.NodeID
	Envelope wire.Envelope
}

// SendHandler takes a message of our own a step further. An error ends it.
type SendHandler func(*Outgoing) error

// SendLayer puts a handler of its own in front of the next. It is pure: it must
// neither wait nor keep the message. To end a message it returns an error that
// says why, or does not call next. What it changes after it has called next has
// no effect: what was judged is what is sent.
type SendLayer func(next SendHandler) SendHandler

// SendPosition is where a layer of the application's stands in the outbound
// chain. What is passed on for others goes through neither.
type SendPosition uint8

const (
	// BeforeSelect: the message is as the application gave it. Everything in it
	// may be changed.
	BeforeSelect SendPosition = iota
	// BeforeWrite: the message is sealed and signed. Peers may be taken away or
	// added; a change of what is signed has it refused by others.
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

// sendChain is the layers in front of a step of the chain's own.
type sendChain struct {
	at      SendPosition
	h       SendHandler
	reached bool // the last message came to the end
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

// run takes a message through the chain and returns it as it came to the end.
// That it does not reach the end is an error, whatever the layers make of it,
// and so is a panic in a layer: the message alone is lost with it.
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

// LayerPanic is the end of a message in a layer that panicked.
type LayerPanic struct {
	Layer string // the position where it stands
	Value any
	Stack []byte // of the panic
}

// Error says that it was a layer, and the value.
func (p *LayerPanic) Error() string {
	return fmt.Sprintf("dht: panic in a layer %s: %v", p.Layer, p.Value)
}
