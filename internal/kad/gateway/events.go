package gateway

import (
	"time"

	"github.com/gamelan-p2p/gamelan/internal/kad/requests"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// Event is an input of the machine. The large ones are given as pointers.
type Event interface{ event() }

type (
	// Ask begins a request: a Ping, FindNode, FindValue or Store. Its name Ref is below
	// [MaxRef] and that of no other request under way. One [Answered], [Sent] or [Lost] follows. The message
	// needs neither id nor sender.
	Ask struct {
		Ref requests.Ref
		To  overlay.Address
		// Contact is who has to answer. The zero id stands for whoever has the address.
		Contact overlay.ID
		Message overlay.Message
		RTT     overlay.RTT // what is known of it
		Dial    bool        // there is no connection yet
		Tor     bool        // the way leads through Tor
		Once    bool        // it is not repeated, also where datagrams get lost
	}

	// Cancel withdraws a request. It ends as [Lost].
	Cancel struct{ Ref requests.Ref }

	// Closed says that the connection to an address has ended; what was asked there is
	// lost.
	Closed struct{ To overlay.Address }

	// Received: a message came in. The size of the packet is set, and nothing in the packet
	// is changed later.
	Received struct{ Request }

	// Respond answers a request of a [Serve]. Answer is a Reply; in the overlay Seed the
	// machine makes of it what that wire has. Its contacts are those nearest to the target,
	// nearest first; in the overlay Seed they are of use also beside a record, which may be
	// too long for an address without proof.
	Respond struct {
		Request *Request
		Answer  overlay.Message
	}

	// Punish: ignore a source ([Request.Source]) for the time of the penalty.
	Punish struct{ Source string }

	// Panicked: this node panicked on a message of a source. The third time within a minute
	// the source is ignored for a minute.
	Panicked struct{ Source string }

	// SetClient: from now on the node serves nobody, or serves again.
	SetClient struct{ Client bool }

	// Due reports that the time of the last Wake has come.
	Due struct{}
)

func (*Ask) event()      {}
func (Cancel) event()    {}
func (Closed) event()    {}
func (*Received) event() {}
func (*Respond) event()  {}
func (Punish) event()    {}
func (Panicked) event()  {}
func (SetClient) event() {}
func (Due) event()       {}

// MaxRef is above all names of requests; a probe has it, which no event names.
const MaxRef requests.Ref = 1 << 63

// Request is a message of another node with what is known of its sender.
type Request struct {
	overlay.Packet
	// From is the sender as a contact. It has an id, and addresses if others can reach it.
	From overlay.Contact
	// Group is the group of the sender's IP address ([overlay.Address.Group]); "" for a sender
	// without a limit of groups.
	Group string
}

// Source is the sender's name for the limits: its key, or its address if it has none.
func (r *Request) Source() string {
	if r.PublicKey.IsZero() {
		return string(r.Address)
	}
	return string(r.PublicKey[:])
}

// Effect is an action for the machine's owner. The large ones come as pointers.
type Effect interface{ effect() }

type (
	// Send: send the packet. It is a request of this node, or an Answer, which leaves before
	// requests that wait.
	Send struct {
		overlay.Packet
		Answer bool
		Ref    requests.Ref // of a request; those from [MaxRef] on are probes
		Copy   int          // of a request: 1 and 2 when it goes again
	}

	// Serve: another node asks. A [Respond] is wanted, except for a Store of the overlay
	// Seed. The sender of a Store has proved its address.
	Serve struct{ Request *Request }

	// Answered: a request was answered, by Contact. Lists are without this node itself and
	// without addresses that are of no use; a value is the one that was asked for.
	Answered struct {
		Ref     requests.Ref
		Contact overlay.Contact
		Message overlay.Message
		Size    int // of the answer, in bytes
		// Took is the time since the request was first sent; Measured says that it is a
		// round-trip time; Echoed that the answer proves its sender's address.
		Took             time.Duration
		Measured, Echoed bool
	}

	// Slow: no answer has come within the soft limit. The request goes on.
	Slow struct{ Ref requests.Ref }

	// Sent: a Store of the overlay Seed was sent. Its wire has no answer to it.
	Sent struct{ Ref requests.Ref }

	// Lost: the request has ended without an answer. Err is set if this gateway cannot send
	// it: what [Options.Check] returned, or an [*overlay.RateLimitedError] while the peer has told
	// this node to wait.
	Lost struct {
		Ref requests.Ref
		Why requests.Reason
		Err error
	}

	// Met: a node that had sent something has proved its address, and is a contact from now
	// on.
	Met struct {
		Contact  overlay.Contact
		Took     time.Duration
		Measured bool
	}

	// Seen: a node that has proved its address was heard of again. It serves others.
	Seen struct{ Contact overlay.Contact }

	// Dropped: the message that the machine was just given, or the answer to it, was not
	// used.
	Dropped struct {
		From   overlay.Address
		Answer bool // it is an answer to a request of this node
		Why    Drop
	}

	// Wake: send Due at At. It replaces an earlier Wake.
	Wake struct{ At time.Time }
)

func (*Send) effect()     {}
func (*Serve) effect()    {}
func (*Answered) effect() {}
func (Slow) effect()      {}
func (Sent) effect()      {}
func (Lost) effect()      {}
func (*Met) effect()      {}
func (*Seen) effect()     {}
func (Dropped) effect()   {}
func (Wake) effect()      {}

// Drop says why a message, or an answer to it, was dropped. Beside the constants it is the
// text of a [limit.Reason] or [requests.Drop].
type Drop string

// The reasons.
const (
	Own          Drop = "own id"                     // the sender uses the id of this node
	ClientMode   Drop = "client mode"                // this node serves nobody
	StoreNoProof Drop = "store without proof"        // the address of the sender is not proven
	NoRoom       Drop = "three times what came"      // an answer would be more than that
	NoProof      Drop = "stale proof"                // an answer has waited in vain for a proof of the sender's address
	OutRate      Drop = "bytes out"                  // the sender got too many bytes lately
	WrongKey     Drop = "value of another key"       // an answer has a value that was not asked for
	NoRequest    Drop = "neither request nor answer" // the message is of the other overlay
)
