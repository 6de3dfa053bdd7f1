package comms

import (
	"errors"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/actors/connections"
	"github.com/gamelan-p2p/gamelan/internal/actors/dialling"
	"github.com/gamelan-p2p/gamelan/internal/actors/peerbook"
	"github.com/gamelan-p2p/gamelan/internal/actors/users"
	"github.com/gamelan-p2p/gamelan/internal/kad/nativewire"
	"github.com/gamelan-p2p/gamelan/kad"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// link is the network of one incarnation of the gateway's actor. All of it is used in that
// actor's turn; the tasks that read have their own values.
type link struct {
	n    *Network
	port *kad.Port

	out    map[identity.PublicKey]*channel // substreams for our requests
	tokens map[uint64]*channel             // what was asked of the node for them
	in     map[identity.PublicKey]*serving // substreams with requests of peers
	tasks  map[string]any                  // *channel or *serving, by the name of its reading task
	// hints are connected peers that have asked us something and serve others, although they
	// listed the protocol too late for us to know. By the id of the connection.
	hints map[identity.PublicKey]uint64

	serial  uint64
	offered uint64 // token of AddProtocol
	opened  bool
}

func open(c actor.Context, n *Network, p *kad.Port) *link {
	l := &link{
		n: n, port: p, out: make(map[identity.PublicKey]*channel), tokens: make(map[uint64]*channel),
		in: make(map[identity.PublicKey]*serving), tasks: make(map[string]any), hints: make(map[identity.PublicKey]uint64),
	}
	supervisor.Subscribe[users.ServicesStarted](c)
	supervisor.Subscribe[users.ClaimChanged](c)
	supervisor.Subscribe[actors.PeerConnected](c)
	supervisor.Subscribe[connections.PeerListed](c)
	supervisor.Subscribe[actors.PeerDisconnected](c)
	self := c.Self()
	supervisor.OwnFunc(c, func() {
		n.trunk.System().Root.Send(n.trunk.Services(), users.RemoveProtocol{ID: n.id, PID: self})
	})
	l.offer(c)
	return l
}

// offer adds the protocol to those of the node, or removes it, as the client serves others
// or does not.
func (l *link) offer(c actor.Context) {
	l.offered = 0
	if !l.port.Serving() {
		c.Request(l.n.trunk.Services(), users.RemoveProtocol{ID: l.n.id, PID: c.Self()})
		l.ready()
		return
	}
	l.offered = l.n.trunk.NewID()
	c.Request(l.n.trunk.Services(), users.AddProtocol{Token: l.offered, ID: l.n.id, PID: c.Self(), Own: true})
}

// ready says that the gateway works.
func (l *link) ready() {
	if l.opened {
		return
	}
	l.opened = true
	l.homes()
}

// homes says which addresses lead to this node.
func (l *link) homes() {
	if self, ok := l.n.self(); ok {
		l.port.Opened(self.Addresses...)
		return
	}
	l.port.Opened()
}

// Receive handles what the node and the link's own tasks send.
func (l *link) Receive(c actor.Context) bool {
	switch m := c.Message().(type) {
	case users.ProtocolAdded:
		l.added(c, m)
	case users.ProtocolRemoved:
	case users.ClaimChanged:
		if l.opened {
			l.homes()
		}
	case users.ServicesStarted, kad.ModeSet:
		l.offer(c)
	case actors.PeerConnected:
		l.serverSeen(m.Conn)
	case connections.PeerListed:
		l.serverSeen(m.Conn)
	case actors.PeerDisconnected:
		if l.hints[m.Conn.Key] == m.Conn.ID {
			delete(l.hints, m.Conn.Key)
		}
	case peerbook.PeerAdded:
		l.peerAdded(c, m)
	case dialling.PeerDialed:
		l.dialled(c, m)
	case actors.SubstreamOpened:
		if m.Direction == protocol.Inbound {
			l.accept(c, m)
		} else {
			l.substream(c, m)
		}
	case connections.SubstreamFailed:
		l.failed(c, m)
	case supervisor.Done[wrote]:
		l.wrote(c, m)
	case supervisor.Done[ended]:
	case supervisor.TaskDone:
		l.taskDone(c, m)
	case *refused:
		l.refused(c, m)
	case hinted:
		l.hint(m.key, m.conn)
	case idleDue:
		l.idle(c, m)
	default:
		return false
	}
	return true
}

// hint notes that a peer serves others. A hint of a connection that has ended comes too late:
// nothing would take it away.
func (l *link) hint(key identity.PublicKey, conn uint64) {
	if now, ok := l.n.trunk.Connection(key.NodeID()); ok && now.ID == conn {
		l.hints[key] = conn
	}
}

// serverSeen tells the client of a peer that serves others.
func (l *link) serverSeen(with *actors.ConnRef) {
	if with.Accepts(l.n.id) {
		l.port.ServerSeen(l.n.sender(with.Key))
	}
}

func (l *link) added(c actor.Context, m users.ProtocolAdded) {
	if m.Token != l.offered {
		return
	}
	switch {
	case m.Err == nil:
		l.ready()
		l.greet(c)
	case errors.Is(m.Err, actors.ErrTooManyProtocols):
		l.port.Failed(fmt.Errorf("%w: %w", kad.ErrTooManyProtocols, m.Err))
	case errors.Is(m.Err, actors.ErrProtocolTaken):
		l.port.Failed(fmt.Errorf("%w: %w", kad.ErrNetworkInUse, m.Err))
	default:
		l.port.Failed(m.Err)
	}
}

// Send sends a request, or the answer to one.
func (l *link) Send(c actor.Context, o kad.Outgoing) error {
	if o.Answer {
		return l.answer(c, &o)
	}
	return l.request(c, &o)
}

func (l *link) wrote(c actor.Context, m supervisor.Done[wrote]) {
	if x, ok := l.tasks[m.Value.pipe].(interface {
		written(actor.Context, error, func() time.Time)
	}); ok {
		x.written(c, m.Err, l.n.trunk.Now)
	}
}

// taskDone handles the end of a substream.
func (l *link) taskDone(c actor.Context, m supervisor.TaskDone) {
	x := l.tasks[m.Name]
	delete(l.tasks, m.Name)
	switch x := x.(type) {
	case *channel:
		x.over = true
		l.offence(c, x.key, x.conn, m.Err)
		l.lose(c, x)
	case *serving:
		x.over = true
		l.offence(c, x.key, x.conn, m.Err)
		if l.in[x.key] == x {
			delete(l.in, x.key)
		}
	}
}

// offence reports to connectivity what a peer did, if it was an offence.
func (l *link) offence(c actor.Context, key identity.PublicKey, conn uint64, err error) {
	if !errors.Is(err, protocol.ErrViolation) {
		return
	}
	c.Send(l.n.trunk.Connectivity(), base.PeerViolated{Peer: key.NodeID(), Key: key, Conn: conn, Err: err})
}

// nameOf returns a name for the next task.
func (l *link) nameOf(what string, key identity.PublicKey) string {
	l.serial++
	return fmt.Sprintf("%s-%s-%d", what, key.NodeID(), l.serial)
}

// groupOf returns the group of the IP address that a connection leads to.
func groupOf(conn *actors.ConnRef) string {
	if conn.Addr == nil {
		return ""
	}
	a, err := overlay.ParseAddress(conn.Addr.String())
	if err != nil {
		return ""
	}
	return a.Group()
}

// violation returns an offence on the wire of the key-value DHT.
func violation(err error) error {
	return protocol.Violated("key-value DHT", protocol.BanShort, err)
}

// own copies from a message what outlives it. Otherwise a contact or a record would keep the
// frame that it came in.
func own(m *overlay.Message) {
	if m.Record != nil {
		if r, err := nativewire.DecodeRecord(nativewire.AppendRecord(nil, m.Record)); err == nil {
			m.Record = r
		}
	}
	for i := range m.Contacts {
		ownClaim(&m.Contacts[i])
	}
	if m.Self != nil {
		ownClaim(m.Self)
	}
}

func ownClaim(c *overlay.Contact) {
	if c.Claim == nil {
		return
	}
	claim := *c.Claim
	claim.Addresses = make([][]byte, len(c.Claim.Addresses))
	for i, a := range c.Claim.Addresses {
		claim.Addresses[i] = append([]byte(nil), a...)
	}
	c.Claim = &claim
}
