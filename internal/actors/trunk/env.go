package trunk

import (
	"bytes"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/credit"
	"github.com/gamelan-p2p/gamelan/internal/protocol/identify"
	"github.com/gamelan-p2p/gamelan/internal/transport/connpool"
	"github.com/gamelan-p2p/gamelan/internal/transport/dial"
	"github.com/gamelan-p2p/gamelan/internal/transport/mux"
	"github.com/gamelan-p2p/gamelan/internal/view"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/transport"
)

// env is what the actors of one node share: settings that never change, and views that
// one actor writes and any goroutine may read. newEnv makes it.
type env struct {
	Settings

	// Self and Key are the node's id and public key.
	Self identity.NodeID
	Key  identity.PublicKey

	// The actors whose place in the tree is fixed; Node is the parent of all others.
	Node, Peers, Conns, Dialer, Connectivity, Services, Extensions, LivenessActor *actor.PID

	// Plain carries plain messages.
	Plain *Messaging
	// Frames carries the DHT's frames, which a part receives. It is nil without
	// Settings.DHT.
	Frames *Messaging

	banClock
	connDirectory
	storeViews
	interests

	// Protocols has the actor that handles inbound substreams of each protocol. Written
	// by services.
	Protocols view.Map[protocol.ID, *actor.PID]
	ownIdentity
	dialViews
	budgets       credit.NodeBudgets
	providers     providers
	types         TypeTable // nil: there are no message types
	ids           ids
	registrations registrations

	inbound  inboundGate
	setups   view.Pending[identity.NodeID] // inbound set-ups whose peer has proved its key
	panics   panics
	notTaken view.Recent[notTakenKey, actors.NotTaken]
	probes   probes
}

// dialViews are the views that dialer writes. They outlive its restarts.
type dialViews struct {
	// Dials has the last attempts for each peer.
	Dials view.Log[identity.NodeID, actors.DialAttempt]
	// Offered has the offers for peers, which the store may not know.
	Offered view.Map[identity.NodeID, offered]
	// aims counts where dials that strangers caused go.
	aims aims
}

// ownIdentity is what the node says of itself.
type ownIdentity struct {
	// Local is this node's identity message. Written by services. Until it is there, no
	// connection is set up.
	Local view.Gate[identify.Message]
	added []ma.Multiaddr // advertised for parts; only services uses it, and it outlives restarts
}

// How much the node remembers: the last dialsKept attempts for each of the dialsPeers
// peers that were dialled last, and the last choicesKept choices.
const (
	dialsKept   = 32
	dialsPeers  = 512
	choicesKept = 16
)

// Settings are the values that Start of package gamelan decides on. They never change.
type Settings struct {
	System     *actor.ActorSystem
	Root       string // name of the tree, the first part of every path
	Profile    protocol.Profile
	Secret     *identity.Secret
	Features   identity.Features
	UserAgent  string
	Transports []transport.Transport
	Listen     []ma.Multiaddr
	Store      *peerstore.Store
	Mux        mux.Config
	Now        func() time.Time // measures, and never steps
	Wall       func() time.Time // the system's clock, which may step; nil: Now
	Logger     *slog.Logger

	KeepAlive    time.Duration // silence after which a connection is pinged
	NodeCredit   int64         // bytes of messages in work, of both directions together
	PeerCredit   int64         // bytes of messages in work of one peer in one direction
	Gate         connpool.GateLimits
	Exempt       []netip.Prefix          // sources without limits of their own
	MaxDials     int                     // automatic dials under way at a time
	DialRate     int                     // automatic dials begun in a second
	Excluded     []protocol.AddressRange // never dialled
	Own          []ma.Multiaddr          // addresses that lead to this node; never dialled either
	MinConnected int                     // connected nodes that the state online needs
	Floor        int                     // below this number of connected nodes others are dialled; 0: no automatic dials
	KeepClosest  int                     // connections to this many closest nodes are kept; 0: to all
	Reap         connpool.ReapLimits
	Liveness     LivenessSettings
	Allow        []identity.NodeID // the allow list at the start: peers that are never banned

	// DHT says that the profile's messaging protocol carries the DHT's frames. PlainID
	// is the protocol of plain messages: the profile's or another one.
	DHT     bool
	PlainID protocol.ID
}

// newEnv makes the env of a node with these settings.
func newEnv(s Settings) *env {
	e := &env{Settings: s, Key: s.Secret.PublicKey(), interests: interests{wishes: newWishes()}, dialViews: dialViews{aims: aims{of: dial.NewAims()}}}
	if e.Wall == nil {
		e.Wall = e.Now
	}
	allow := make(map[identity.NodeID]struct{}, len(s.Allow))
	for _, peer := range s.Allow {
		allow[peer] = struct{}{}
	}
	e.Allowed.SetAll(allow)
	e.Self = e.Key.NodeID()
	e.banAhead.Store(int64(e.Wall().Sub(e.Now())))
	e.Node = s.System.NewLocalPID(s.Root + "/node")
	e.Peers, e.Conns, e.Dialer = e.at("peers"), e.at("conns"), e.at("dialer")
	e.Connectivity, e.Services = e.at("connectivity"), e.at("services")
	e.Extensions = e.at("extensions")
	e.wireMessaging()
	e.budgets = credit.NewNodeBudgets(s.NodeCredit)
	e.Closed.Limit = 256
	e.Dials.Keys, e.Dials.PerKey = dialsPeers, dialsKept
	e.Choices.Limit = choicesKept
	e.inbound.open(s.Gate, s.Exempt, s.Now)
	e.probes.o = s.Liveness
	e.LivenessActor = e.at("liveness")
	return e
}

// at returns the PID of the actor at a path below the node.
func (e *env) at(path string) *actor.PID { return e.System.NewLocalPID(e.Root + "/node/" + path) }

// wireMessaging makes the messaging protocols of the node: one for plain messages and,
// with the DHT, one for frames.
func (e *env) wireMessaging() {
	main := e.at("services/messaging")
	if !e.DHT {
		e.Plain = newMessaging(e, e.PlainID, main, "messaging")
		return
	}
	e.Frames = newMessaging(e, e.Profile.MessagingID, main, "dht")
	e.Plain = newMessaging(e, e.PlainID, e.at("services/plain"), "messaging")
}

// OnWall converts a time of Now into one of Wall, as [supervisor.OnWall] does. The zero
// time stays zero.
func (e *env) OnWall(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return e.Wall().Add(t.Sub(e.Now()))
}

// NewID returns a number that is unique while the node runs.
func (e *env) NewID() uint64 { return e.ids.next() }

// credit returns the bytes in use and the limit of each direction.
func (e *env) credit() (inUsed, inLimit, outUsed, outLimit int64) {
	return e.budgets.Inbound.Used(), e.budgets.Inbound.Limit(), e.budgets.Outbound.Used(), e.budgets.Outbound.Limit()
}

// allowed reports whether the peer is on the allow list, and so never banned.
func (e *env) allowed(peer identity.NodeID) bool {
	_, ok := e.Allowed.Get(peer)
	return ok
}

// held reports whether the peer is protected.
func (e *env) held(peer identity.NodeID) bool {
	_, ok := e.Protected.Get(peer)
	return ok
}

// used reports whether a connection is in use: an RPC call runs on it, or it has more
// substreams than an idle connection may have.
func (e *env) used(ref *actors.ConnRef) bool { return ref.Calling() || e.streams(ref) > e.Reap.Idle() }

// streams returns how many substreams a connection has, without those of the second
// messaging protocol: the limits of idle connections count on one such protocol.
func (e *env) streams(ref *actors.ConnRef) int {
	n := ref.NumStreams()
	for i, m := range e.messagings() {
		if _, ok := m.Sessions.Get(ref.Peer); ok && i > 0 {
			n -= 2 // one substream in each direction
		}
	}
	return max(0, n)
}

// banned returns a *BannedError while the peer is banned, and otherwise nil. A peer on
// the allow list does not count as banned, even before its stored ban is lifted.
func (e *env) banned(peer identity.NodeID) error {
	if e.allowed(peer) {
		return nil
	}
	if until, reason, ok := e.Ban(peer); ok {
		return &actors.BannedError{Peer: peer, Until: until, Reason: reason}
	}
	return nil
}

// CheckKey returns an error if the peer with this key is banned. Upgrades call it.
func (e *env) CheckKey(key identity.PublicKey) error {
	return e.banned(key.NodeID())
}

// knows reports whether the peer is in the store.
func (e *env) knows(peer identity.NodeID) bool {
	_, ok := e.Store.View().Get(peer)
	return ok
}

// own reports whether the address leads to this node.
func (e *env) own(a ma.Multiaddr) bool {
	for _, o := range e.Own {
		if o.Equal(a) {
			return true
		}
	}
	for _, b := range e.local().Claim.Addresses {
		if bytes.Equal(b, a.Bytes()) {
			return true
		}
	}
	return false
}

func (e *env) transportFor(a ma.Multiaddr) transport.Transport {
	for _, t := range e.Transports {
		if t.Handles(a) {
			return t
		}
	}
	return nil
}

// ids hands out numbers that are unique while the node runs.
type ids struct{ last atomic.Uint64 }

func (n *ids) next() uint64 { return n.last.Add(1) }
