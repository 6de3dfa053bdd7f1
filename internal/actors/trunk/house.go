package trunk

import (
	"context"
	"net/netip"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/actors/connections"
	"github.com/gamelan-p2p/gamelan/internal/actors/connectivity"
	"github.com/gamelan-p2p/gamelan/internal/actors/dialling"
	"github.com/gamelan-p2p/gamelan/internal/actors/messengers"
	"github.com/gamelan-p2p/gamelan/internal/actors/peerbook"
	"github.com/gamelan-p2p/gamelan/internal/actors/users"
	"github.com/gamelan-p2p/gamelan/internal/transport/connpool"
	"github.com/gamelan-p2p/gamelan/internal/transport/upgrade"
	"github.com/gamelan-p2p/gamelan/internal/view"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/transport"
)

// Settings are the values that Start of package gamelan decides on. They never change.
type Settings struct {
	Base         base.Settings
	Store        *peerstore.Store
	Allow        []identity.NodeID // the allow list at the start: peers that are never banned
	Connections  connections.Settings
	Dialling     dialling.Settings
	Connectivity connectivity.Settings
	Messages     messengers.Settings
	Users        users.Settings
}

// house has the rooms of one node. Each room says in an interface what it needs of the others;
// the methods of house are these needs, and so all ways from one room to another but messages.
type house struct {
	*base.Base
	peers        *peerbook.Room
	connections  *connections.Room
	dialling     *dialling.Room
	connectivity *connectivity.Room
	messages     *messengers.Room
	users        *users.Room

	providers providers
}

func newHouse(s Settings) *house {
	h := &house{Base: base.New(s.Base)}
	h.peers = peerbook.NewRoom(h.Base, s.Store, s.Allow, h)
	h.connections = connections.NewRoom(h.Base, s.Connections, h)
	h.dialling = dialling.NewRoom(h.Base, s.Dialling, h)
	h.connectivity = connectivity.NewRoom(h.Base, s.Connectivity, h)
	h.messages = messengers.NewRoom(h.Base, s.Messages, h)
	h.users = users.NewRoom(h.Base, s.Users, h)
	return h
}

// Of the peer store.

func (h *house) Records() peerstore.View { return h.peers.Records() }

func (h *house) Given(peer identity.NodeID) []peerbook.GivenAddress { return h.peers.Given(peer) }
func (h *house) Allowed(peer identity.NodeID) bool                  { return h.peers.Allowed(peer) }
func (h *house) AllowList() *view.Map[identity.NodeID, struct{}]    { return h.peers.AllowList() }
func (h *house) Banned(peer identity.NodeID) error                  { return h.peers.Banned(peer) }
func (h *house) StoreTrouble() (actors.StoreTroubled, bool)         { return h.peers.Trouble.Get() }
func (h *house) Ban(peer identity.NodeID) (time.Time, string, bool) { return h.peers.Ban(peer) }

// Of connections.

func (h *house) Closed() []actors.ClosedConn { return h.connections.Closed() }

func (h *house) Substreams(ref *actors.ConnRef) int { return h.connections.Substreams(ref) }
func (h *house) IdleLimits() connpool.ReapLimits    { return h.connections.Idle }
func (h *house) Window() int                        { return int(h.connections.Mux.WithDefaults().Window) }

func (h *house) Announced(ctx context.Context) error             { return h.connections.Announced(ctx) }
func (h *house) Offended(c actor.Context, from peerstore.Origin) { h.connections.Offended(c, from) }

func (h *house) RefuseSource(from peerstore.Origin, long time.Duration) (netip.Prefix, bool) {
	return h.connections.RefuseSource(from, long)
}

func (h *house) AwaitInbound(wanted context.Context, peer identity.NodeID) error {
	return h.connections.AwaitInbound(wanted, peer)
}

func (h *house) UpgradeConfig(c transport.Conn) upgrade.Config { return h.connections.UpgradeConfig(c) }

func (h *house) Upgraded(res *upgrade.Result, c transport.Conn, via string, d protocol.Direction) connections.Upgraded {
	return h.connections.Upgraded(res, c, via, d)
}

// Of dialling.

func (h *house) Unreachable(peer identity.NodeID) error { return h.dialling.Unreachable(peer) }

func (h *house) FirstAddress(p peerstore.Peer) (ma.Multiaddr, error) {
	return h.dialling.FirstAddress(p)
}

// Of connectivity.

func (h *house) Protectors(peer identity.NodeID) []string { return h.connectivity.Protectors(peer) }
func (h *house) KeptOpen(peer identity.NodeID) bool       { return h.connectivity.KeptOpen(peer) }

// Of messages.

func (h *house) Plain() *messengers.Messaging               { return h.messages.Plain }
func (h *house) Frames() *messengers.Messaging              { return h.messages.Frames }
func (h *house) Messagings() []*messengers.Messaging        { return h.messages.Messagings() }
func (h *house) Sessions(peer identity.NodeID) []*actor.PID { return h.messages.Sessions(peer) }
func (h *house) PlainBesideFrames(peer identity.NodeID) bool {
	return h.messages.PlainBesideFrames(peer)
}
func (h *house) IsMessaging(id protocol.ID) bool             { return h.messages.IsMessaging(id) }
func (h *house) Reserved(id protocol.ID) bool                { return h.messages.Reserved(id) }
func (h *house) Carries(id protocol.ID, pid *actor.PID) bool { return h.messages.Carries(id, pid) }
func (h *house) SettleAccounts(peer identity.NodeID, connected bool) {
	h.messages.SettleAccounts(peer, connected)
}

func (h *house) Decodes(id protocol.ID, from *actors.ConnRef) bool {
	return h.messages.Decodes(id, from)
}
