package trunk

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/actors/connections"
	"github.com/gamelan-p2p/gamelan/internal/actors/dialling"
	"github.com/gamelan-p2p/gamelan/internal/actors/messengers"
	"github.com/gamelan-p2p/gamelan/internal/actors/peerbook"
	"github.com/gamelan-p2p/gamelan/internal/actors/users"
	"github.com/gamelan-p2p/gamelan/internal/credit"
	"github.com/gamelan-p2p/gamelan/internal/protocol/more"
	"github.com/gamelan-p2p/gamelan/internal/protocol/outcomes"
	"github.com/gamelan-p2p/gamelan/internal/share"
	"github.com/gamelan-p2p/gamelan/internal/taps"
	"github.com/gamelan-p2p/gamelan/internal/view"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
	"github.com/gamelan-p2p/gamelan/transport"
)

// Trunk is what an [actors.Part] may use of the node: its clock, its peers' connections,
// the protocol table, and credit. A part declares an interface of its own with the
// methods that it needs. All methods may be called from any goroutine, and none
// waits.
type Trunk struct{ rooms *rooms }

// providers are the actors that do something for other parts, by the name of that
// service. All parts may write it; mu orders their writes.
type providers struct {
	mu     sync.Mutex
	actors view.Map[string, *actor.PID]
}

// System returns the actor system in which the node runs.
func (t Trunk) System() *actor.ActorSystem { return t.rooms.System }

// Now returns the time of the node's clock, which measures durations and never steps.
func (t Trunk) Now() time.Time { return t.rooms.Now() }

// NewID returns a number that is unique in the node's life.
func (t Trunk) NewID() uint64 { return t.rooms.NewID() }

// Taps shows messages and peers to those who trace them.
func (t Trunk) Taps() *taps.Taps { return &t.rooms.messengers.Taps }

// Root returns the name of the tree, the first part of every path.
func (t Trunk) Root() string { return t.rooms.Root }

// PID returns the address of the actor at a path below the node, as in
// "services/rpc".
func (t Trunk) PID(path string) *actor.PID { return t.rooms.At(path) }

// Services returns the actor that receives AddProtocol and RemoveProtocol.
func (t Trunk) Services() *actor.PID { return t.rooms.Services }

// Connectivity returns the actor that receives [base.PeerViolated].
func (t Trunk) Connectivity() *actor.PID { return t.rooms.Connectivity }

// Connections returns the directory of live connections, by peer.
func (t Trunk) Connections() *view.Map[identity.NodeID, *actors.ConnRef] { return &t.rooms.Connections }

// Connection returns the live connection of a peer.
func (t Trunk) Connection(peer identity.NodeID) (*actors.ConnRef, bool) {
	return t.rooms.Connections.Get(peer)
}

// Unreachable returns an error if a request for the peer can fail at once, because the
// peer has no connection and cannot be dialled.
func (t Trunk) Unreachable(peer identity.NodeID) error { return t.rooms.Unreachable(peer) }

// Dial asks the dialer for a connection. Reply to the actor: [dialling.PeerDialed], in at
// most [dialling.DialLimit]. by is the part's name in the list of attempts.
func (t Trunk) Dial(token uint64, peer identity.NodeID, reply *actor.PID, by string) {
	t.rooms.System.Root.Send(t.rooms.Dialer, dialling.NewDialPeer(t.rooms.System, token, peer, reply, by))
}

// DialAutomatically is Dial for a connection that the node wants of its own accord. Such
// dials share the limits MaxDials and DialRate of [dialling.Settings].
func (t Trunk) DialAutomatically(token uint64, peer identity.NodeID, reply *actor.PID, by string) {
	m := dialling.NewDialPeer(t.rooms.System, token, peer, reply, by)
	m.Automatic = true
	t.rooms.System.Root.Send(t.rooms.Dialer, m)
}

// DialForStranger is Dial for a connection that another node has caused, for instance by a
// message that asks for an answer. An address that nobody but the peer itself or another
// stranger claims is not dialled more often than dial.Aims permits, which also holds for
// DialAutomatically.
func (t Trunk) DialForStranger(token uint64, peer identity.NodeID, reply *actor.PID, by string) {
	m := dialling.NewDialPeer(t.rooms.System, token, peer, reply, by)
	m.Stranger = true
	t.rooms.System.Root.Send(t.rooms.Dialer, m)
}

// CancelDial cancels a Dial with this token and reply.
func (t Trunk) CancelDial(token uint64, peer identity.NodeID, reply *actor.PID) {
	t.rooms.System.Root.Send(t.rooms.Dialer, dialling.CancelDial{Peer: peer, Token: token, Reply: reply})
}

// KeepOpen keeps the connections of these peers open: connectivity does not close them to have
// fewer, and they do not make room for others. It gives the peers no other privilege. The
// peers replace those of an earlier call with the same tag.
func (t Trunk) KeepOpen(tag string, peers []identity.NodeID) {
	t.rooms.connectivity.KeepOpen(tag, peers)
}

// KeepOpenTags returns the tags under which parts keep the connection of the peer open.
func (t Trunk) KeepOpenTags(peer identity.NodeID) []string {
	return t.rooms.connectivity.KeepOpenTags(peer)
}

// SetPlannedDials says how many nodes a part is about to connect to: by dials under way, and by
// those that begin in a moment. To reach its floor, the node dials as many fewer of its own
// accord.
func (t Trunk) SetPlannedDials(n int) { t.rooms.connectivity.SetPlannedDials(n) }

// SetSeedTrouble says in words why the names of seeds give none, and what to check; empty: they
// give some.
func (t Trunk) SetSeedTrouble(why string) { t.rooms.connectivity.SetSeedTrouble(why) }

// HangUp closes the connection of a peer, if it still has the id conn. The node does not
// dial the peer automatically for a while.
func (t Trunk) HangUp(peer identity.NodeID, conn uint64) {
	t.rooms.System.Root.Send(t.rooms.Conns, connections.CloseConn{Peer: peer, Conn: conn, Reason: actors.CloseReason{Code: actors.CloseMinimised, By: "us"}})
}

// AddPeer asks the actor peers to store a record whose claim was verified. reply receives
// [peerbook.PeerAdded]; it may be nil.
func (t Trunk) AddPeer(token uint64, p peerstore.Peer, reply *actor.PID) {
	t.rooms.System.Root.RequestWithCustomSender(t.rooms.Peers, peerbook.AddPeer{Token: token, Peer: p}, reply)
}

// AddGiven is [Trunk.AddPeer] for a peer that the user has named. It needs no claim, and the
// next dial tries its addresses first.
func (t Trunk) AddGiven(token uint64, p peerstore.Peer, reply *actor.PID) {
	t.rooms.System.Root.RequestWithCustomSender(t.rooms.Peers, peerbook.AddPeer{Token: token, Peer: p, Given: true, Keep: true}, reply)
}

// Signed reports whether this node has signed a claim of its key since its start.
func (t Trunk) Signed(of identity.Signature) bool { return t.rooms.users.Signed(of) }

// Claim returns the node's own signed claim, or false while it has none.
func (t Trunk) Claim() (identity.Claim, bool) {
	m, ok := t.rooms.Local.Get()
	return m.Claim, ok
}

// Advertise adds an address to those that the node advertises, for the node's life. reply
// receives [users.AddressAdded].
func (t Trunk) Advertise(a ma.Multiaddr, reply *actor.PID) {
	t.rooms.System.Root.RequestWithCustomSender(t.rooms.Services, users.AddAddress{Address: a}, reply)
}

// SetAddresses changes the addresses that the node advertises. reply receives [users.AddressesSet].
func (t Trunk) SetAddresses(addrs []ma.Multiaddr, reply *actor.PID) {
	t.rooms.System.Root.RequestWithCustomSender(t.rooms.Services, users.SetAddresses{Addresses: addrs}, reply)
}

// MoveListener has the node's first listener listen on another address of the machine. reply
// receives [connections.ListenerMoved].
func (t Trunk) MoveListener(to netip.Addr, reply *actor.PID) {
	t.rooms.System.Root.RequestWithCustomSender(t.PID("listeners/0"), connections.MoveListener{To: to}, reply)
}

// AddressGone closes the connections over an address that the machine has no more.
func (t Trunk) AddressGone(ip netip.Addr) {
	t.rooms.connections.AddressGone(ip)
}

// Unplugged has each connection over an address of the machine end unless the peer gives a sign
// of life within 5 s.
func (t Trunk) Unplugged(ip netip.Addr) {
	t.rooms.connections.Unplugged(ip)
}

// DialAnew ends the pauses before dials, and begins the dials under way again, unless a peer has answered: what they have sent may
// have gone out over an address, or into a cable, that is no more.
func (t Trunk) DialAnew() { t.rooms.DialAnew() }

// OnWall translates a time of Now into one of Wall, as [supervisor.OnWall] does.
func (t Trunk) OnWall(at time.Time) time.Time { return t.rooms.OnWall(at) }

// Shown is OnWall for a time that may be zero, which it keeps.
func (t Trunk) Shown(at time.Time) time.Time {
	if at.IsZero() {
		return at
	}
	return t.OnWall(at)
}

// Allowed reports whether the peer is on the allow list.
func (t Trunk) Allowed(peer identity.NodeID) bool { return t.rooms.Allowed(peer) }

// Protected reports whether a user protects the peer.
func (t Trunk) Protected(peer identity.NodeID) bool { return len(t.rooms.Protectors(peer)) > 0 }

// Dialable returns an error if the node knows no address of the peer that it may dial.
func (t Trunk) Dialable(p peerstore.Peer) error {
	_, err := t.rooms.FirstAddress(p)
	return err
}

// OpenSubstream asks for a substream that speaks the first of the protocols the
// peer accepts. An opened substream marks the connection as useful: it is then not closed
// to make room for others (see [actors.ConnRef.Useful]). Reply to the actor: [actors.SubstreamOpened] or
// [connections.SubstreamFailed], in at most [connections.OpenLimit].
func (t Trunk) OpenSubstream(on *actors.ConnRef, token uint64, reply *actor.PID, ids ...protocol.ID) {
	t.rooms.System.Root.Send(on.PID, connections.NewOpenSubstream(t.rooms.System, token, reply, ids...))
}

// ExpectProbe awaits a token in the first line of a liveness check, until a time of Now. It admits
// that check, from whatever host it comes. [connections.ProbeSeen] tells that it has come. It returns false if
// too many are awaited.
func (t Trunk) ExpectProbe(token string, until time.Time) bool {
	return t.rooms.connections.ExpectProbe(token, until)
}

// MayDial reports whether the node may dial an IP address for a peer.
func (t Trunk) MayDial(to ma.Multiaddr) bool {
	return t.rooms.dialling.MayDial(to)
}

// Probe finds out whether a node with a key is at an address; see [dialling.Room.Probe].
func (t Trunk) Probe(ctx context.Context, to ma.Multiaddr, key identity.PublicKey, limit time.Duration) (identity.PublicKey, error) {
	return t.rooms.dialling.Probe(ctx, to, key, limit)
}

// Probeable returns the addresses of a peer that a dial would try; see [dialling.Room.Probeable].
func (t Trunk) Probeable(p peerstore.Peer, given []ma.Multiaddr) ([]ma.Multiaddr, error) {
	return t.rooms.dialling.Probeable(p, given)
}

// LastAttempts returns the remembered attempts at the addresses of a peer, the last one last, without those that
// were cancelled.
func (t Trunk) LastAttempts(peer identity.NodeID) []actors.DialAttempt {
	return t.rooms.dialling.LastAttempts(peer)
}

// Draining returns since when the node makes no new connections; false if it makes them.
func (t Trunk) Draining() (since time.Time, ok bool) {
	if at := t.rooms.Draining.Load(); at != nil {
		return *at, true
	}
	return since, false
}

// DialRaw connects to an address without a handshake; see [dialling.Room.DialRaw].
func (t Trunk) DialRaw(ctx context.Context, to ma.Multiaddr) (transport.Conn, error) {
	return t.rooms.dialling.DialRaw(ctx, to)
}

// Listed returns all protocols that this node accepts, sorted, with the markers, and without those that
// every node of this library is asked for: the one by which nodes tell each other of them, and those of messages with ids.
func (t Trunk) Listed() (list []protocol.ID) {
	for id := range t.rooms.Protocols.All() {
		if id != more.ID && id != outcomes.ID && id != outcomes.AnswersID {
			list = append(list, id)
		}
	}
	if t.rooms.messengers.DHT {
		list = append(list, protocol.DHTMarker)
	}
	if t.rooms.messengers.Full.Load() {
		list = append(list, protocol.FullMarker)
	}
	list = append(list, protocol.TakenMarker)
	slices.Sort(list)
	return list
}

// SetFull says whether received messages cannot be kept now, as when the disk is full. Nodes of this
// library hear of it soon after users.ProtocolsChanged was published.
func (t Trunk) SetFull(full bool) { t.rooms.messengers.Full.Store(full) }

// Reserved reports whether a protocol id has a fixed meaning between nodes, so
// that no other protocol may use it.
func (t Trunk) Reserved(id protocol.ID) bool { return t.rooms.Reserved(id) }

// Budgets returns the credit that all messages and calls of the node may hold.
func (t Trunk) Budgets() credit.NodeBudgets { return t.rooms.messengers.Budgets }

// PeerCredit returns how many bytes of credit the messages and calls of one peer may hold
// in one direction.
func (t Trunk) PeerCredit() int64 { return t.rooms.messengers.PeerCredit }

// Store returns the store of known peers, for reading.
func (t Trunk) Store() peerstore.View { return t.rooms.Records() }

// NoSecret returns the dialers without the secret of the private network, and NotAdmitted the peers that
// were not admitted, since a time of Now.
func (t Trunk) NoSecret(since time.Time) connections.Knocks {
	return t.rooms.connections.NoSecret(since)
}

// NotAdmitted returns the peers that were not admitted: see NoSecret.
func (t Trunk) NotAdmitted(since time.Time) connections.Knocks {
	return t.rooms.connections.NotAdmitted(since)
}

// Latecomers returns the peers that are connected by the second secret of the private network, and the last
// that were.
func (t Trunk) Latecomers() []connections.Latecomer { return t.rooms.connections.Latecomers() }

// SourceOf returns where a connection from an address comes from, as the limits count it.
func (t Trunk) SourceOf(a ma.Multiaddr) share.Source { return t.rooms.connections.SourceOf(a) }

// SetSecrets changes the secrets of the private network, for connections that begin from now on, and
// closes those whose secret is given up.
func (t Trunk) SetSecrets(secret, accept *protocol.NetworkSecret) error {
	return t.rooms.connections.SetSecrets(secret, accept)
}

// Banned returns an error that matches [actors.ErrBanned] if the peer is banned now, and nil
// otherwise.
func (t Trunk) Banned(peer identity.NodeID) error { return t.rooms.Banned(peer) }

// Unlimited reports whether the peer may exceed the limits on its messages without an
// offence: the peer is on the allow list, or protected (spec: V 28).
func (t Trunk) Unlimited(peer identity.NodeID) bool {
	return t.rooms.Allowed(peer) || len(t.rooms.Protectors(peer)) > 0
}

// MarkUseful marks the connection of the peer as useful, if it still has the id conn; 0
// stands for any id. See [actors.ConnRef.Useful].
func (t Trunk) MarkUseful(peer identity.NodeID, conn uint64) { t.rooms.MarkUseful(peer, conn) }

// MarkUsed notes for TakeUse of the connection that a program has a message for the peer.
func (t Trunk) MarkUsed(peer identity.NodeID) {
	if ref, ok := t.rooms.Connections.Get(peer); ok {
		ref.Link().Live.UseNow()
	}
}

// TransportNames returns the names of the transports by which the node connects.
func (t Trunk) TransportNames() (names []string) {
	for _, via := range t.rooms.dialling.Transports {
		names = append(names, via.Name())
	}
	return names
}

// Excluded returns the ranges of addresses that the node never dials.
func (t Trunk) Excluded() []protocol.AddressRange { return t.rooms.dialling.Excluded }

// WithoutDHT reports whether a known peer is a node of this library that runs
// without the DHT. The answer comes from the identity message of its connection, or, if it
// is not connected, of its last one.
func (t Trunk) WithoutDHT(p peerstore.Peer) bool {
	return t.rooms.connections.WithoutDHT(p)
}

// Secret returns the secret of the node's identity.
func (t Trunk) Secret() *identity.Secret { return t.rooms.Secret }

// Features returns the features that the node offers to others.
func (t Trunk) Features() identity.Features { return t.rooms.Features }

// Profile returns the wire profile that the node speaks, with the present secrets.
func (t Trunk) Profile() protocol.Profile { return t.rooms.connections.Wire() }

// Slept returns how long the machine has slept since some moment of the past.
func (t Trunk) Slept() time.Duration {
	if t.rooms.Slept == nil {
		return 0
	}
	return t.rooms.Slept()
}

// Wall returns the time of the system's clock, which may step.
func (t Trunk) Wall() time.Time { return t.rooms.Wall() }

// Plain returns the messaging protocol of plain messages.
func (t Trunk) Plain() *messengers.Messaging { return t.rooms.messengers.Plain }

// Frames returns the messaging protocol of the DHT's frames, or nil if the node runs
// without the DHT.
func (t Trunk) Frames() *messengers.Messaging { return t.rooms.messengers.Frames }

// Self returns the node's id, which is a hash of Key.
func (t Trunk) Self() identity.NodeID { return t.rooms.Self }

// Key returns the node's public key.
func (t Trunk) Key() identity.PublicKey { return t.rooms.Key }

// Outcomes returns the messaging protocol of messages whose outcome says more than that they were
// read, and Answers that of what became of them.
func (t Trunk) Outcomes() *messengers.Messaging { return t.rooms.messengers.Outcomes }
func (t Trunk) Answers() *messengers.Messaging  { return t.rooms.messengers.Answers }

// Ended counts the outcome of a message of the program to a peer that a part sends.
func (t Trunk) Ended(peer identity.NodeID, o protocol.Outcome) { t.rooms.messengers.Ended(peer, o) }

// Sent returns how messages of the program to peers have ended since the start, and SentWithin
// how they have ended in the last hour.
func (t Trunk) Sent() messengers.Ended { return t.rooms.messengers.Sent() }

func (t Trunk) SentWithin(now time.Time) messengers.Ended { return t.rooms.messengers.SentWithin(now) }

// Doubters returns which peers have had messages of the program in doubt in the last hour, at most 64.
func (t Trunk) Doubters(now time.Time) []identity.NodeID { return t.rooms.messengers.Doubters(now) }

// HasTopics reports whether messages of some topic have a handler.
func (t Trunk) HasTopics() bool { return t.rooms.messengers.Topics.Len() > 0 }

// Topic returns the actor that handles messages with this topic; nil: none does.
func (t Trunk) Topic(topic string) *actor.PID {
	pid, _ := t.rooms.messengers.Topics.Get(topic)
	return pid
}

// ReceiveFrames sets the Receiver of the frames that peers send. It is called before the
// tree starts.
func (t Trunk) ReceiveFrames(r messengers.Receiver) { t.rooms.messengers.Frames.ReceiveWith(r) }

// ServeTypes sets the table of the users' actors for message types. It is called before
// the tree starts. Without it users cannot register such actors.
func (t Trunk) ServeTypes(table users.TypeTable) { t.rooms.users.Types = table }

// Provide registers an actor under the name of what it does for other parts, so that they
// can send to it without importing its part. A nil pid removes the name.
func (t Trunk) Provide(name string, pid *actor.PID) {
	p := &t.rooms.providers
	p.mu.Lock()
	defer p.mu.Unlock()
	if pid == nil {
		p.actors.Delete(name)
		return
	}
	p.actors.Set(name, pid)
}

// Provider returns the actor that Provide has registered under this name.
func (t Trunk) Provider(name string) (*actor.PID, bool) { return t.rooms.providers.actors.Get(name) }

// SendControl sends a message of the DHT itself. Reply to the actor: [dht.Sent]. No other
// message of the node has this id.
func (t Trunk) SendControl(c actor.Context, id uint64, m dht.Control) error {
	sender, ok := t.Provider(dht.Sender)
	if !ok {
		return errNoSender
	}
	tell := supervisor.Teller(c)
	c.Request(sender, dht.SendControl{ID: id, Message: m, Lost: func() {
		tell(dht.Sent{ID: id, Report: dht.Report{Reason: dht.SendClosed, Err: actors.ErrClosing}})
	}})
	return nil
}

var errNoSender = errors.New("dht: the actor that sends messages does not run; try again")

// LayerPanicked records and logs that a layer of the user's has panicked on a message of a
// peer, which was dropped. The panic does not count against the peer.
func (t Trunk) LayerPanicked(layer string, value any, stack []byte, from actors.Origin) {
	t.rooms.UserPanicked(base.Panicking{Layer: layer, Peer: from.Peer, Message: "dht message", Value: base.Beginning(value)},
		from.Conn, stack, false, "it goes on with the next message")
}

// ServicePanicked records and logs that a service of the user's has panicked. then says
// what happens next. The log names the peer whose call it was, but the panic does not
// count against that peer.
func (t Trunk) ServicePanicked(p base.Panicking, conn uint64, stack []byte, stops bool, then string) {
	t.rooms.UserPanicked(p, conn, stack, stops, then)
}

// ServiceStopped records that a service has stopped for good after a panic.
func (t Trunk) ServiceStopped(id protocol.ID) { t.rooms.Panics.ServiceStopped(id) }

// ServiceEnded removes the record of a service's panics: it has ended in order, or is
// registered again.
func (t Trunk) ServiceEnded(id protocol.ID) { t.rooms.Panics.ServiceEnded(id) }
