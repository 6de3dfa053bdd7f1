package kad

import (
	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Network is one kind of network that a client uses through a gateway: datagrams,
// connections of a node, or the memory of this process. A Network is settings: it outlives
// the restarts of the gateway's actor, and belongs to one client.
//
// The gateway's actor keeps the requests under way, resends, answers others, and holds the
// limits. The Network and its [Link] carry packets and own their encoding.
//
// spec: kad B11
type Network interface {
	// Label names the network for people, as in "udp 127.0.0.1:12345".
	Label() string
	// Limits returns what the network carries. It always returns the same.
	Limits() Limits
	// Route returns the address at which the contact is asked through this network, or ""
	// if the network does not reach it. Any goroutine may call it; it never waits.
	Route(Contact) Address
	// Open is called in the turn of the gateway's actor each time that the actor starts. It
	// never waits: sockets are opened in tasks ([supervisor.Do]) and read in tasks
	// ([supervisor.Go]), which end with the actor's incarnation. When the gateway works, the
	// Link calls [Port.Opened].
	Open(c actor.Context, p *Port) Link
}

// Link is a [Network] that an incarnation of a gateway's actor has opened. Its methods are
// called in the turn of that actor.
type Link interface {
	// Send sends a packet. It never waits. An error means that the request is lost at once,
	// and blames nobody.
	Send(c actor.Context, o Outgoing) error
	// Receive handles a message that the gateway's actor does not know, such as the end of
	// a task of the Link, and reports whether it knows it.
	Receive(c actor.Context) bool
}

// Flusher is a [Link] that does not send at once what its Send has taken. Flush is called in
// the turn of the gateway's actor when the client closes: when all of it is sent, the Link
// calls [Port.Flushed]. The client waits for that, for two seconds at most.
type Flusher interface{ Flush(c actor.Context) }

// A Network may have these methods as well.
type (
	// Lister knows nodes that serve the client's overlay. It is asked when the client enters
	// the network.
	Lister interface{ Listed() []Contact }
	// Ways knows whether a request to a contact needs a new connection, and whether it takes
	// the way through Tor. Any goroutine may call it; it never waits.
	Ways interface {
		Way(Contact) (dial, tor bool)
	}
	// Violations wants to know of a peer that broke the rules in a way that only the client
	// sees: it gave a record with a bad signature. source is that of [Incoming]. Any goroutine
	// may call it; it never waits. On a Network without it the gateway ignores the peer for
	// ten minutes.
	Violations interface {
		Violated(peer Contact, source supervisor.Source, err error)
	}
)

// ModeSet is sent to each [Link] when the client's mode has changed.
type ModeSet struct{ Mode Mode }

// Limits are what a [Network] carries.
type Limits struct {
	// Datagram says that a packet may be lost without a word. Requests are then resent.
	Datagram bool
	// Unproven says that anybody can invent the address that a packet comes from. An
	// address then gets few bytes until it has proved that its owner sent them.
	Unproven bool
	// Private says that addresses of this network are none of the internet, and good all the
	// same.
	Private bool
	// Claims says that native contacts must carry a valid claim. Without it a contact is
	// believed to be who its packets say.
	Claims bool
	// Dial says that the first request to a contact may need a new connection, and Tor that
	// packets take the way through Tor. Both wait longer. What [Ways] says of a contact counts
	// instead.
	Dial, Tor bool
	// MaxValue is the longest value of an own STORE in bytes; 0 means as long as the
	// overlay allows.
	MaxValue int
	// Rates are the limits for requests of others; without any the overlay's apply.
	Rates *Rates
	// Size returns the bytes of a message on the wire. It must be set if Unproven is.
	Size func(*Message) int
	// Select returns which of the contacts, nearest first, an answer to a request may hold:
	// at most n, in at most room bytes of the whole answer. Nil: the first n.
	Select func(contacts []Contact, to *Incoming, n, room int) []Contact
}

// Incoming is a packet that came in.
type Incoming struct {
	// Packet has the address under which the network reaches the sender: an answer goes
	// there, and a request that was sent there is answered from there.
	Packet
	// From is the sender as a contact. It has an id, and addresses if the network knows
	// where others reach it.
	From Contact
	// Source names the sender in records of panics ([supervisor.Attributed]). Nil stands for
	// the address of the packet.
	Source supervisor.Source
	// Group is the group of the sender's IP address that limits are counted for; "" for
	// none.
	Group string

	gate *gate // that got it; set by [Port.Deliver]
}

// Outgoing is a packet to be sent.
type Outgoing struct {
	// Packet has the address that Route returned, or that a request came from.
	Packet
	To     Contact // of a request
	Answer bool    // it answers a request
}
