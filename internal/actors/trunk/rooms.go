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

// rooms are the rooms of one node. Each room says in an interface what it needs of the others;
// the methods of rooms are these needs, and so all ways from one room to another but messages.
type rooms struct {
	*base.Base
	peerbook     *peerbook.Room
	connections  *connections.Room
	dialling     *dialling.Room
	connectivity *connectivity.Room
	messengers   *messengers.Room
	users        *users.Room

	providers providers
}

func newRooms(s Settings) *rooms {
	r := &rooms{Base: base.New(s.Base)}
	r.peerbook = peerbook.NewRoom(r.Base, s.Store, s.Allow, r)
	r.connections = connections.NewRoom(r.Base, s.Connections, r)
	r.dialling = dialling.NewRoom(r.Base, s.Dialling, r)
	r.connectivity = connectivity.NewRoom(r.Base, s.Connectivity, r)
	r.messengers = messengers.NewRoom(r.Base, s.Messages, r)
	r.users = users.NewRoom(r.Base, s.Users, r)
	return r
}

// Of the peer store.

func (r *rooms) Records() peerstore.View { return r.peerbook.Records() }

func (r *rooms) Given(peer identity.NodeID) []peerbook.GivenAddress { return r.peerbook.Given(peer) }

func (r *rooms) Allowed(peer identity.NodeID) bool { return r.peerbook.Allowed(peer) }

func (r *rooms) AllowList() *view.Map[identity.NodeID, struct{}] { return r.peerbook.AllowList() }

func (r *rooms) Banned(peer identity.NodeID) error { return r.peerbook.Banned(peer) }

func (r *rooms) StoreTrouble() (actors.StoreTroubled, bool)         { return r.peerbook.Trouble.Get() }
func (r *rooms) Ban(peer identity.NodeID) (time.Time, string, bool) { return r.peerbook.Ban(peer) }

// DialAnew has all that dials begin again at once: there may be a new way to others.
func (r *rooms) DialAnew() {
	r.dialling.DialAnew()
	r.connectivity.DialAnew()
}

// Of connections.

func (r *rooms) Closed() []actors.ClosedConn { return r.connections.Closed() }

func (r *rooms) Substreams(ref *actors.ConnRef) int { return r.connections.Substreams(ref) }
func (r *rooms) IdleLimits() connpool.ReapLimits    { return r.connections.Idle }
func (r *rooms) Window() int                        { return int(r.connections.Mux.WithDefaults().Window) }

func (r *rooms) Announced(ctx context.Context) error             { return r.connections.Announced(ctx) }
func (r *rooms) Offended(c actor.Context, from peerstore.Origin) { r.connections.Offended(c, from) }

func (r *rooms) RefuseSource(from peerstore.Origin, long time.Duration) (netip.Prefix, bool) {
	return r.connections.RefuseSource(from, long)
}

func (r *rooms) AwaitInbound(wanted context.Context, peer identity.NodeID) error {
	return r.connections.AwaitInbound(wanted, peer)
}

func (r *rooms) UpgradeConfig(c transport.Conn) upgrade.Config { return r.connections.UpgradeConfig(c) }

func (r *rooms) Upgraded(res *upgrade.Result, c transport.Conn, via string, d protocol.Direction) connections.Upgraded {
	return r.connections.Upgraded(res, c, via, d)
}

// Of dialling.

func (r *rooms) Unreachable(peer identity.NodeID) error { return r.dialling.Unreachable(peer) }

func (r *rooms) FirstAddress(p peerstore.Peer) (ma.Multiaddr, error) {
	return r.dialling.FirstAddress(p)
}

// Of connectivity.

func (r *rooms) Protectors(peer identity.NodeID) []string { return r.connectivity.Protectors(peer) }
func (r *rooms) KeptOpen(peer identity.NodeID) bool       { return r.connectivity.KeptOpen(peer) }

// Of messages.

func (r *rooms) Plain() *messengers.Messaging               { return r.messengers.Plain }
func (r *rooms) Frames() *messengers.Messaging              { return r.messengers.Frames }
func (r *rooms) Messagings() []*messengers.Messaging        { return r.messengers.Messagings() }
func (r *rooms) Outcomes() *messengers.Messaging            { return r.messengers.Outcomes }
func (r *rooms) Topics() *view.Map[string, *actor.PID]      { return &r.messengers.Topics }
func (r *rooms) Sessions(peer identity.NodeID) []*actor.PID { return r.messengers.Sessions(peer) }
func (r *rooms) PlainBesideFrames(peer identity.NodeID) bool {
	return r.messengers.PlainBesideFrames(peer)
}
func (r *rooms) IsMessaging(id protocol.ID) bool             { return r.messengers.IsMessaging(id) }
func (r *rooms) Reserved(id protocol.ID) bool                { return r.messengers.Reserved(id) }
func (r *rooms) Carries(id protocol.ID, pid *actor.PID) bool { return r.messengers.Carries(id, pid) }

func (r *rooms) SettleAccounts(peer identity.NodeID, connected bool) {
	r.messengers.SettleAccounts(peer, connected)
}

func (r *rooms) Decodes(id protocol.ID, from *actors.ConnRef) bool {
	return r.messengers.Decodes(id, from)
}
