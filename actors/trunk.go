package actors

import (
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/credit"
	"github.com/gamelan-p2p/gamelan/internal/view"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/address"
)

// Trunk is what a [Part] may use of the node: its clock, its peers' connections,
// the protocol table, and credit. A part names in an interface of its own which of
// the methods it needs. All of them may be called from any goroutine, and none
// waits.
type Trunk struct{ env *env }

// Trunk is what parts of the node may use of it.
func (e *env) Trunk() Trunk { return Trunk{e} }

// providers are the actors of parts that other parts send to, by the name of what
// they do. All parts may write it, a step at a time.
type providers struct {
	mu     sync.Mutex
	actors view.Map[string, *actor.PID]
}

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

// Connectivity is the actor that [PeerViolated] is sent to.
func (t Trunk) Connectivity() *actor.PID { return t.env.Connectivity }

// Connections is the directory of live connections, by peer.
func (t Trunk) Connections() *view.Map[identity.NodeID, *ConnRef] { return &t.env.Connections }

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
// peer accepts. The connection is then one of use, which makes no room for others
// (see [ConnRef.Useful]). Reply to the actor: [SubstreamOpened] or [SubstreamFailed], in at
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

// Store is the store of known peers. A part only reads it.
func (t Trunk) Store() peerstore.View { return t.env.Store.View() }

// Banned reports an active ban of the peer as [ErrBanned]; otherwise it returns nil.
func (t Trunk) Banned(peer identity.NodeID) error { return t.env.banned(peer) }

// Unlimited reports whether no limit on what the peer sends is an offence: the
// peer is on the allow list, or somebody here wants it connected (spec: V 28).
func (t Trunk) Unlimited(peer identity.NodeID) bool { return t.env.allowed(peer) || t.env.held(peer) }

// MarkUseful notes that the connection was of use, if it is still the peer's; 0 is
// any. See [ConnRef.Useful].
func (t Trunk) MarkUseful(peer identity.NodeID, conn uint64) { t.env.use(peer, conn) }

// Excluded are the ranges of addresses that the node never dials.
func (t Trunk) Excluded() []address.Range { return t.env.Excluded }

// WithoutDHT reports whether a known peer is a node of this library that runs
// without the DHT: it has said so on its connection, or else the last time that it
// was connected.
func (t Trunk) WithoutDHT(p peerstore.Peer) bool {
	if ref, ok := t.env.Connections.Get(p.ID); ok {
		return ref.noDHT
	}
	return withoutDHT(p.UserAgent, p.Protocols)
}

// Secret is the node's identity.
func (t Trunk) Secret() *identity.Secret { return t.env.Secret }

// Features are what the node offers to others.
func (t Trunk) Features() identity.Features { return t.env.Features }

// Profile is the wire profile that the node speaks.
func (t Trunk) Profile() protocol.Profile { return t.env.Profile }

// Wall is the system's clock, which may step.
func (t Trunk) Wall() time.Time { return t.env.Wall() }

// Frames is the messaging protocol of the frames that the node's DHT sends; nil
// without the DHT. ReceiveFrames says who receives those of peers. It is called
// before the tree starts.
func (t Trunk) Frames() *Messaging { return t.env.Frames }

// ReceiveFrames is described at Frames.
func (t Trunk) ReceiveFrames(r Receiver) { t.env.Frames.receiver = r }

// ServeTypes has users register actors for message types, which the table keeps.
// It is called before the tree starts; without it there are no message types.
func (t Trunk) ServeTypes(table TypeTable) { t.env.types = table }

// Provide names an actor by what it does for other parts, which send to it without
// importing its part; nil takes it back. Provider finds it.
func (t Trunk) Provide(name string, pid *actor.PID) {
	p := &t.env.providers
	p.mu.Lock()
	defer p.mu.Unlock()
	if pid == nil {
		p.actors.Delete(name)
		return
	}
	p.actors.Set(name, pid)
}

// Provider is described at Provide.
func (t Trunk) Provider(name string) (*actor.PID, bool) { return t.env.providers.actors.Get(name) }

// LayerPanicked notes a panic of a layer of the user's, which ended the message of
// the peer. Nobody is charged.
func (t Trunk) LayerPanicked(layer string, value any, stack []byte, from Origin) {
	t.env.yours(Panicking{Layer: layer, Peer: from.Peer, Message: "dht message", Value: Beginning(value)},
		from.Conn, stack, false, "it goes on with the next message")
}

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
