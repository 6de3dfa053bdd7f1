package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/credit"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Trunk is what a [Part] may use of the node: its clock, its peers' connections,
// the protocol table, and credit. A part names in an interface of its own which of
// the methods it needs. All of them may be called from any goroutine, and none
// waits.
type Trunk struct{ env *Env }

// Trunk is what parts of the node may use of it.
func (e *Env) Trunk() Trunk { return Trunk{e} }

// System is the actor system that the node runs in.
func (t Trunk) System() *actor.ActorSystem { return t.env.System }

// Now is the node's clock, which measures and never steps.
func (t Trunk) Now() time.Time { return t.env.Now() }

// NewID returns a number that is unique in the node's life.
func (t Trunk) NewID() uint64 { return t.env.NewID() }

// PID returns the address of the actor at a path below the node, as in
// "services/rpc".
func (t Trunk) PID(path string) *actor.PID { return t.env.at(path) }

// Services is the actor that AddProtocol and RemoveProtocol are sent to.
func (t Trunk) Services() *actor.PID { return t.env.Services }

// Connection returns the live connection of a peer.
func (t Trunk) Connection(peer identity.NodeID) (*ConnRef, bool) { return t.env.Connections.Get(peer) }

// Unreachable says why a peer can be refused at once: it has no connection, and
// nobody would dial it. Otherwise it returns nil.
func (t Trunk) Unreachable(peer identity.NodeID) error { return t.env.unreachable(peer) }

// Dial asks the dialer for a connection. Reply to the actor: [PeerDialed], in at
// most [DialLimit]. By is the part's name in the list of attempts.
func (t Trunk) Dial(token uint64, peer identity.NodeID, reply *actor.PID, by string) {
	t.env.System.Root.Send(t.env.Dialer, NewDialPeer(t.env.System, token, peer, reply, by))
}

// CancelDial takes back a Dial with this token and reply.
func (t Trunk) CancelDial(token uint64, peer identity.NodeID, reply *actor.PID) {
	t.env.System.Root.Send(t.env.Dialer, CancelDial{Peer: peer, Token: token, Reply: reply})
}

// OpenSubstream asks for a substream that speaks the first of the protocols the
// peer accepts. Reply to the actor: [SubstreamOpened] or [SubstreamFailed], in at
// most [OpenLimit].
func (t Trunk) OpenSubstream(on *ConnRef, token uint64, reply *actor.PID, ids ...protocol.ID) {
	t.env.System.Root.Send(on.PID, NewOpenSubstream(t.env.System, token, reply, ids...))
}

// Reserved reports whether a protocol id has a fixed meaning between nodes, so
// that no other protocol may use it.
func (t Trunk) Reserved(id protocol.ID) bool { return t.env.reserved(id) }

// Budgets are what all messages and calls of the node may hold, and PeerCredit what
// those of one peer may in one direction, in bytes.
func (t Trunk) Budgets() credit.NodeBudgets { return t.env.budgets }

// PeerCredit is described at Budgets.
func (t Trunk) PeerCredit() int64 { return t.env.PeerCredit }

// ServicePanicked notes a panic of a service of the user's, and says it in the log
// with what follows. The peer whose call it was is named and not charged.
func (t Trunk) ServicePanicked(p Panicking, conn uint64, stack []byte, stops bool, then string) {
	t.env.yours(p, conn, stack, stops, then)
}

// ServiceStopped notes that a service has stopped for good after a panic,
// ServiceEnded that it ended in order or begins anew.
func (t Trunk) ServiceStopped(id protocol.ID) { t.env.panics.stop(serviceKey(id)) }

// ServiceEnded is described at ServiceStopped.
func (t Trunk) ServiceEnded(id protocol.ID) { t.env.panics.forget(serviceKey(id)) }
