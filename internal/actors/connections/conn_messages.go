package connections

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/internal/protocol/messaging"
	"github.com/gamelan-p2p/gamelan/internal/protocol/negotiate"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// OpenSubstream asks a conn to open a substream for the first of these protocols that
// the peer accepts. Reply: SubstreamOpened or SubstreamFailed.
type OpenSubstream struct {
	Token uint64
	IDs   []protocol.ID
	Reply *actor.PID

	// ForMessages says that a messaging session asks.
	ForMessages bool

	// Held lets a name that the peer has announced leave with the opener's first data, unless many
	// frames wait already. Then the opener may hear of a connection that is lost only by that write.
	Held bool

	system *actor.ActorSystem
}

// NewOpenSubstream returns a request whose answer goes to reply.
func NewOpenSubstream(sys *actor.ActorSystem, token uint64, reply *actor.PID, ids ...protocol.ID) OpenSubstream {
	return OpenSubstream{Token: token, IDs: ids, Reply: reply, system: sys}
}

// Discard replies SubstreamFailed if no conn handles the request: the connection has
// ended.
func (m OpenSubstream) Discard() {
	if m.system != nil && m.Reply != nil {
		m.system.Root.Send(m.Reply, SubstreamFailed{Token: m.Token, Err: actors.ErrConnectionClosed, ConnectionLost: true})
	}
}

// SubstreamFailed replies to OpenSubstream: no substream was opened.
type SubstreamFailed struct {
	Token          uint64
	Err            error
	ConnectionLost bool // the connection has ended or was superseded: dial again
}

// ConfirmWrites asks a conn for proof that the peer's multiplexer has read everything
// that was written on the connection so far. Reply: WritesConfirmed. There is no reply
// if the connection ends first.
type ConfirmWrites struct {
	Mark      uint64
	NotBefore time.Time // only a ping sent at this time or later is proof; for a fresh substream
	Reply     *actor.PID
}

// WritesConfirmed replies to ConfirmWrites. It also proves all earlier marks of the
// same asker. Asker is the Reply of the question: an actor that has the name of one that has
// ended gets the answers to that one's questions, too, and tells them apart by it. The proof
// does not hold for a substream that the peer had ended before pong number Pong (see
// [mux.Stream.PeerEnded]).
type WritesConfirmed struct {
	Conn  uint64
	Mark  uint64
	Pong  uint64
	Asker *actor.PID
}

// FinishSubstreams asks a messaging session to end its substreams on a connection that
// this node is about to close. Reply: SubstreamsFinished.
type FinishSubstreams struct {
	Conn  uint64
	Reply *actor.PID

	system *actor.ActorSystem
}

// Discard replies for a messaging session that has ended.
func (m FinishSubstreams) Discard() { m.system.Root.Send(m.Reply, SubstreamsFinished{m.Conn}) }

// SubstreamsFinished replies to FinishSubstreams.
type SubstreamsFinished struct{ Conn uint64 }

// Agreement is what messaging knows of a substream that was opened for it: see
// [actors.SubstreamOpened.Messaging].
type Agreement struct {
	Answer messaging.Acceptance // of a substream that a messaging session has asked for
	Owed   *negotiate.Choice    // the acceptance that the messaging session writes; nil: none
}

// AgreementOf returns what messaging knows of a substream.
func AgreementOf(m actors.SubstreamOpened) Agreement {
	a, _ := m.Messaging.(Agreement)
	return a
}

// shown returns the agreement for [actors.SubstreamOpened.Messaging].
func (a Agreement) shown() any {
	if a == (Agreement{}) {
		return nil
	}
	return a
}

// OpenLimit is how long an asker waits for a substream.
const OpenLimit = 15 * time.Second
