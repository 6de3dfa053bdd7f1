package actors

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/view"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
	"github.com/gamelan-p2p/gamelan/transport/connpool"
	"github.com/gamelan-p2p/gamelan/transport/mux"
)

// conns adopts finished upgrades: it has the peer stored, spawns the conn actor
// that takes the session, and keeps the connection directory. Which of two
// connections to the same peer stays is decided by connpool.Table.
//
// In: Upgraded, PeerAdded, CloseConn, connEnded, WritesConfirmed, event
// PeerBanned. Out: AddPeer, ConfirmWrites, events PeerConnected,
// PeerDisconnected, PeerRefused. A restart loses all
// connections; its first act is a PeerDisconnected for each of them.
type conns struct {
	env      *env
	table    *connpool.Table[*ConnRef]
	adopting map[uint64]adoption // by token of AddPeer
	children map[string]child    // by path of the conn actor
	draining *draining

	replacements replacements
	unstored     Summary // peers that the store had no room for
}

// connDirectory is what conns shows to everybody.
type connDirectory struct {
	// Connections are the live ones.
	Connections view.Map[identity.NodeID, *ConnRef]
	// Closed remembers the connections that ended last.
	Closed view.Ring[ClosedConn]
	// SharedIdentities are those that two nodes may use.
	SharedIdentities view.Map[identity.NodeID, SharedIdentity]
}

// ClosedConn is a connection that has ended.
type ClosedConn struct {
	Ref    *ConnRef
	At     time.Time
	Reason CloseReason
}

// child is a conn actor. Its session is ours until it has taken it.
type child struct {
	ref     *ConnRef
	session *supervisor.Handover[*mux.Session]
	detach  func()
}

type adoption struct {
	up      Upgraded
	timeout *supervisor.Timer
	detach  func()
}

// draining is the orderly close of all connections at the end of the node.
type draining struct{ reply *actor.PID }

// announced tells a conn that the directory knows of it, or of the one that is
// to be used in its place. Only then does it read: whoever pings us and hears
// the pong knows that nothing new begins on a connection that crossed this one.
type announced struct{}

// addTimeout says that peers did not answer in time.
type addTimeout struct{ token uint64 }

// adoptLimit is how long conns waits for peers to store a peer.
const adoptLimit = 10 * time.Second

// newConns makes the actor that adopts connections.
func newConns(env *env) actor.Actor {
	return &conns{
		env:      env,
		table:    connpool.NewTable[*ConnRef](env.Self),
		adopting: make(map[uint64]adoption),
		children: make(map[string]child),

		replacements: make(replacements),
		unstored:     Summary{What: "peer not stored"},
	}
}

func (a *conns) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		supervisor.Subscribe[PeerBanned](c)
		a.reconcile(c)
	case Upgraded:
		a.upgraded(c, m)
	case PeerAdded:
		a.added(c, m)
	case addTimeout:
		a.abandon(c, m.token, ErrNotAdopted)
	case CloseConn:
		a.closeConn(c, m)
	case PeerBanned:
		a.banned(c, m)
	case connEnded:
		a.ended(c, m)
	case WritesConfirmed:
		a.proven(c, m)
	case *actor.Terminated:
		a.terminated(c, m.Who)
	case supervisor.Drain:
		a.drain(c)
	case SummaryDue:
		m.Tell(c)
	case supervisor.TaskDone: // a farewell was said
	default:
		supervisor.Unhandled(c)
	}
}

// reconcile announces the end of what an earlier incarnation had.
func (a *conns) reconcile(c actor.Context) {
	for id, ref := range a.env.Connections.Clear() {
		why := CloseReason{Code: CloseCrashed, By: "us"}
		a.env.Closed.Add(ClosedConn{ref.over(), supervisor.Now(c), why})
		a.env.settleAccounts(id, false)
		supervisor.Publish(c, PeerDisconnected{ref.Peer, ref, why})
	}
}

// upgraded has the peer stored before its first message can arrive.
func (a *conns) upgraded(c actor.Context, m Upgraded) {
	if err := a.refuse(c, m); err != nil {
		a.farewell(c, m)
		supervisor.Publish(c, PeerRefused{m.Peer, err})
		return
	}
	token := a.env.NewID()
	a.adopting[token] = adoption{m, supervisor.After(c, adoptLimit, addTimeout{token}), supervisor.Own(c, m.Session)}
	c.Request(a.env.Peers, AddPeer{Token: token, Peer: a.record(m), Origin: Origin{Peer: m.Peer}})
}

func (a *conns) refuse(c actor.Context, m Upgraded) error {
	switch {
	case a.draining != nil:
		return ErrClosing
	case m.Peer == a.env.Self:
		return ErrSelf
	}
	return a.env.banned(m.Peer)
}

// record is what the identity exchange taught about the peer.
func (a *conns) record(m Upgraded) peerstore.Peer {
	p := peerstore.FromClaim(m.Message.Claim, peerstore.PeerConnection)
	p.Protocols = m.Message.Protocols
	p.UserAgent = m.Message.UserAgent
	p.Origin = m.origin
	return p
}

func (a *conns) added(c actor.Context, m PeerAdded) {
	ad, ok := a.adopting[m.Token]
	if !ok {
		return
	}
	delete(a.adopting, m.Token)
	ad.timeout.Stop()
	ad.detach()
	if m.Err != nil {
		a.unstored.Say(c, ad.up.Peer, m.Err)
	}
	a.adopt(c, ad.up)
}

// adopt spawns the actor of a connection.
func (a *conns) adopt(c actor.Context, m Upgraded) {
	if err := a.refuse(c, m); err != nil {
		a.farewell(c, m)
		supervisor.Publish(c, PeerRefused{m.Peer, err})
		return
	}
	ref := &ConnRef{
		ID:        a.env.NewID(),
		Peer:      m.Peer,
		Key:       m.Key,
		Direction: m.Direction,
		Addr:      m.Addr,
		Transport: m.Transport,
		Features:  m.Message.Claim.Features,
		Protocols: m.Message.Protocols,
		UserAgent: m.Message.UserAgent,
		Timings:   m.Timings,
		Since:     supervisor.Now(c),
		noDHT:     withoutDHT(m.Message.UserAgent, m.Message.Protocols),
		place:     place(m),
		origin:    m.origin,
		live:      new(liveConn),
	}
	name := fmt.Sprintf("%s-%d", m.Peer, ref.ID)
	ref.PID = a.env.System.NewLocalPID(c.Self().Id + "/" + name)
	supervisor.Spawn(c, supervisor.Spec{
		Name: name,
		Kind: "conn",
		New:  func() actor.Actor { return newConn(a.env, ref, m.Session) },
	})
	a.children[ref.PID.Id] = child{ref, m.Session, supervisor.Own(c, m.Session)}
	if old, ok := a.table.Get(m.Peer); ok && m.Direction == protocol.Inbound {
		a.replaced(c, old, ref)
	}
	a.carry(c, a.table.Arrive(m.Peer, ref, m.Direction, m.Began), CloseReason{Code: CloseTieBreak, By: "us"})
	if m.arrived != nil {
		m.arrived()
	}
	c.Send(ref.PID, announced{})
}

// carry does what the table says. The reason is that of what is closed, or has
// ended.
func (a *conns) carry(c actor.Context, acts []connpool.Act[*ConnRef], why CloseReason) {
	for _, act := range acts {
		ref := act.Conn
		switch act.Verb {
		case connpool.Announce:
			a.env.Connections.Set(ref.Peer, ref)
			a.env.settleAccounts(ref.Peer, true)
			supervisor.Publish(c, PeerConnected{ref.Peer, ref})
		case connpool.Withdraw:
			a.env.Connections.Delete(ref.Peer)
			a.env.settleAccounts(ref.Peer, false)
			supervisor.Publish(c, PeerDisconnected{ref.Peer, ref, why})
		case connpool.Retire:
			ref.retire()
			c.Send(ref.PID, retireConn{})
		case connpool.CloseSilently:
			c.Send(ref.PID, CloseConn{ref.Peer, ref.ID, why})
		case connpool.Prove:
			c.Send(ref.PID, ConfirmWrites{act.Mark, supervisor.Now(c), c.Self()})
		}
	}
}

// proven is the pong of a connection that has another one beside it.
func (a *conns) proven(c actor.Context, m WritesConfirmed) {
	if ref := a.child(m.Conn); ref != nil {
		a.carry(c, a.table.Proven(ref.Peer, ref, m.Mark), CloseReason{Code: CloseTieBreak, By: "us"})
	}
}

func (a *conns) child(id uint64) *ConnRef {
	for _, ch := range a.children {
		if ch.ref.ID == id {
			return ch.ref
		}
	}
	return nil
}

func (a *conns) abandon(c actor.Context, token uint64, err error) {
	ad, ok := a.adopting[token]
	if !ok {
		return
	}
	delete(a.adopting, token)
	ad.timeout.Stop()
	ad.detach()
	a.farewell(c, ad.up)
	supervisor.Publish(c, PeerRefused{ad.up.Peer, err})
}

// banned closes the connection of a peer that is banned from now on. One that
// is being adopted is refused in the end.
func (a *conns) banned(c actor.Context, m PeerBanned) {
	why := CloseReason{Code: CloseBanned, By: "us"}
	if m.Reason != "" {
		why.Err = errors.New(m.Reason)
	}
	a.closeConn(c, CloseConn{Peer: m.Peer, Reason: why})
}

// closeConn closes one connection, or whatever there is to the peer: also the
// one that nobody hears of, when the peer is to be disconnected.
func (a *conns) closeConn(c actor.Context, m CloseConn) {
	ref, ok := a.table.Get(m.Peer)
	live := ok && (m.Conn == 0 || m.Conn == ref.ID)
	if ok && !live {
		ref = a.child(m.Conn)
		ok = ref != nil
	}
	if ok && m.Reason.sparesUsed() && a.env.used(ref) { // by now
		return
	}
	if live && (m.Conn == 0 || m.Reason.Orderly()) {
		a.carry(c, a.table.Leave(m.Peer), m.Reason)
	}
	if ok {
		c.Send(ref.PID, m)
	}
	if m.Conn == 0 || m.Reason.Orderly() {
		a.closeRetired(c, m)
	}
}

// closeRetired has the losers of a tie-break that are still finishing end with
// the connection that took their place.
func (a *conns) closeRetired(c actor.Context, m CloseConn) {
	var all []*ConnRef
	for _, ch := range a.children {
		if ch.ref.Peer == m.Peer && ch.ref.Retired() && !(m.Reason.sparesUsed() && a.env.used(ch.ref)) {
			all = append(all, ch.ref)
		}
	}
	slices.SortFunc(all, func(x, y *ConnRef) int { return cmp.Compare(x.ID, y.ID) })
	for _, ref := range all {
		c.Send(ref.PID, CloseConn{ref.Peer, ref.ID, m.Reason})
	}
}

// farewell says GoAway on a session that is not adopted, and closes it.
func (a *conns) farewell(c actor.Context, m Upgraded) {
	session, ok := m.Session.Take()
	if !ok {
		return
	}
	session.Release()
	supervisor.Go(c, "goodbye", session, func(context.Context) error { return session.GoAway() })
}

// ended is the orderly end: the conn has said its last word.
func (a *conns) ended(c actor.Context, m connEnded) {
	if ch, ok := a.children[m.Ref.PID.Id]; ok {
		a.remove(c, ch, m.Reason)
		c.Stop(ch.ref.PID)
	}
}

// terminated is the other end: the conn stopped without a word.
func (a *conns) terminated(c actor.Context, who *actor.PID) {
	if ch, ok := a.children[who.Id]; ok {
		a.remove(c, ch, CloseReason{Code: CloseCrashed, By: "us"})
	}
}

func (a *conns) remove(c actor.Context, ch child, why CloseReason) {
	ref := ch.ref
	delete(a.children, ref.PID.Id)
	ch.detach()
	ch.session.Discard() // of a conn that crashed before it took it
	a.env.Closed.Add(ClosedConn{ref.over(), supervisor.Now(c), why})
	a.carry(c, a.table.End(ref.Peer, ref), why)
	a.drained(c)
}

// drain closes every connection in order and answers when all are gone.
func (a *conns) drain(c actor.Context) {
	a.draining = &draining{reply: c.Sender()}
	for _, ch := range a.children {
		ref := ch.ref
		a.table.Leave(ref.Peer) // nothing takes its place
		c.Send(ref.PID, CloseConn{ref.Peer, ref.ID, CloseReason{Code: CloseShutdown, By: "us"}})
	}
	a.drained(c)
}

func (a *conns) drained(c actor.Context) {
	if a.draining == nil || len(a.children) > 0 || a.draining.reply == nil {
		return
	}
	c.Send(a.draining.reply, supervisor.Drained{From: c.Self()})
	a.draining.reply = nil
}

func (a *conns) String() string {
	return fmt.Sprintf("%d connections", a.env.Connections.Len())
}
