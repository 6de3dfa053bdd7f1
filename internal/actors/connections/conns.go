package connections

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/actors/link"
	"github.com/gamelan-p2p/gamelan/internal/actors/peerbook"
	"github.com/gamelan-p2p/gamelan/internal/transport/connpool"
	"github.com/gamelan-p2p/gamelan/internal/transport/mux"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// conns adopts finished upgrades: it has the peer stored, spawns the conn actor that
// takes the session, and keeps the directory of connections. connpool.Table decides
// which of two connections to the same peer stays.
//
// In: Upgraded, PeerAdded, CloseConn, secretsChanged, connEnded, WritesConfirmed, event PeerBanned.
// Out: AddPeer; to its conn actors ConfirmWrites, announced, retireConn and CloseConn;
// events PeerConnected, PeerDisconnected, PeerRefused. A restart loses all connections;
// the next incarnation begins with a PeerDisconnected for each of them.
type conns struct {
	room     *Room
	table    *connpool.Table[*actors.ConnRef]
	adopting map[uint64]adoption // by the token of AddPeer
	children map[string]child    // by the path of the conn actor
	draining *draining

	replacements replacements
	unstored     base.Summary // peers that could not be stored
}

// child is a conn actor. conns owns the session until the conn actor has taken it.
type child struct {
	ref     *actors.ConnRef
	session *supervisor.Handover[*mux.Session]
	detach  func()
}

type adoption struct {
	up      Upgraded
	claim   *identity.Claim // that of up, which the store may have, too
	timeout *supervisor.Timer
	detach  func()
}

// draining is set while conns closes all connections because the node is closing.
type draining struct{ reply *actor.PID }

// announced tells a conn that the directory now has it, or the connection that is used
// in its place. Only then does the conn begin to read. So a pong on this connection
// also tells the peer that this node begins nothing new on a connection that has
// crossed this one.
type announced struct{}

// addTimeout says that the actor peers did not answer AddPeer in time.
type addTimeout struct{ token uint64 }

// adoptLimit is how long conns waits for the actor peers to store a peer.
const adoptLimit = 10 * time.Second

// NewConns makes the actor that adopts connections.
func NewConns(room *Room) actor.Actor {
	return &conns{
		room:     room,
		table:    connpool.NewTable[*actors.ConnRef](room.Self),
		adopting: make(map[uint64]adoption),
		children: make(map[string]child),

		replacements: make(replacements),
		unstored:     base.Summary{What: "peer not stored"},
	}
}

func (a *conns) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		supervisor.Subscribe[actors.PeerBanned](c)
		a.reconcile(c)
	case Upgraded:
		a.upgraded(c, m)
	case peerbook.PeerAdded:
		a.added(c, m)
	case addTimeout:
		a.abandon(c, m.token, actors.ErrNotAdopted)
	case CloseConn:
		a.closeConn(c, m)
	case actors.PeerBanned:
		a.banned(c, m)
	case secretsChanged:
		a.secretsChanged(c)
	case connEnded:
		a.ended(c, m)
	case WritesConfirmed:
		a.proven(c, m)
	case *actor.Terminated:
		a.terminated(c, m.Who)
	case supervisor.Drain:
		a.drain(c)
	case base.SummaryDue:
		m.Tell(c)
	case supervisor.TaskDone: // the goodbye task of farewell has ended
	default:
		supervisor.Unhandled(c)
	}
}

// errRestarted is why connections end with an actor that is restarted by hand. They are dialled again as after a failure.
var errRestarted = errors.New("an actor was restarted by hand")

// reconcile publishes the end of the connections of an earlier incarnation.
func (a *conns) reconcile(c actor.Context) {
	for id, ref := range a.room.Connections.Clear() {
		why := actors.CloseReason{Code: actors.CloseCrashed, By: "us"}
		if supervisor.RestartedByHand(c) {
			why.Err = errRestarted
		}
		a.room.closed.Add(actors.ClosedConn{Ref: over(ref), At: supervisor.Now(c), Reason: why})
		a.room.traffic.ended(why)
		a.room.needs.SettleAccounts(id, false)
		supervisor.Publish(c, actors.PeerDisconnected{Peer: ref.Peer, Conn: ref, Reason: why})
	}
}

// upgraded asks the actor peers to store the peer, before the peer's first message can
// arrive.
func (a *conns) upgraded(c actor.Context, m Upgraded) {
	if err := a.refuse(c, m); err != nil {
		a.farewell(c, m)
		supervisor.Publish(c, actors.PeerRefused{Peer: m.Peer, Err: err})
		return
	}
	token, p := a.room.NewID(), a.record(m)
	a.adopting[token] = adoption{m, p.Claim, supervisor.After(c, adoptLimit, addTimeout{token}), supervisor.Own(c, m.Session)}
	c.Request(a.room.Peers, peerbook.AddPeer{Token: token, Peer: p, Origin: actors.Origin{Peer: m.Peer}})
}

func (a *conns) refuse(c actor.Context, m Upgraded) error {
	switch {
	case a.draining != nil:
		return actors.ErrClosing
	case m.Peer == a.room.Self:
		return actors.ErrSelf
	}
	if err := a.room.needs.Banned(m.Peer); err != nil {
		return err
	}
	if !a.room.inForce(m.secret) { // it was given up meanwhile
		return actors.ErrSecretGivenUp
	}
	return a.room.Listed(m.Key) // it may have been taken off the list meanwhile
}

// record returns what the identity exchange says about the peer, for the store.
func (a *conns) record(m Upgraded) peerstore.Peer {
	p := peerstore.FromClaim(m.Message.Claim, peerstore.PeerConnection).HeardOver(m.remote)
	p.Protocols = m.Message.Protocols
	p.UserAgent = m.Message.UserAgent
	p.Origin = m.origin
	return p
}

func (a *conns) added(c actor.Context, m peerbook.PeerAdded) {
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
	a.adopt(c, ad.up, ad.claim)
}

// adopt spawns the actor of a connection, and tells the table that the connection has
// arrived.
func (a *conns) adopt(c actor.Context, m Upgraded, claim *identity.Claim) {
	if err := a.refuse(c, m); err != nil {
		a.farewell(c, m)
		supervisor.Publish(c, actors.PeerRefused{Peer: m.Peer, Err: err})
		return
	}
	ref := &actors.ConnRef{
		ID:        a.room.NewID(),
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
	}
	old, replaces := a.table.Get(m.Peer)
	*ref.Link() = link.Link{
		Claim:   claim,
		Other:   otherClaim(old, *claim, supervisor.Now(c)),
		Told:    m.Told,
		NoDHT:   withoutDHT(m.Message.UserAgent, m.Message.Protocols),
		Answers: answersWhenTaken(m.Message.UserAgent, m.Message.Protocols) && slices.Contains(m.Told, protocol.TakenMarker),
		Place:   place(m),
		Origin:  m.origin,
		Remote:  m.remote,
		Local:   m.local,
		Wall:    supervisor.Wall(c),
		Secret:  m.secret,
		Live:    link.New(),
	}
	name := fmt.Sprintf("%s-%d", m.Peer, ref.ID)
	ref.PID = a.room.System.NewLocalPID(c.Self().Id + "/" + name)
	session, flight := m.Session, m.flight // alone: New outlives m
	supervisor.Spawn(c, supervisor.Spec{
		Name: name,
		Kind: "conn",
		New:  func() actor.Actor { return NewConn(a.room, ref, session, flight) },
	})
	a.room.came(ref)
	a.children[ref.PID.Id] = child{ref, session, supervisor.Own(c, session)}
	a.room.traffic.began(m.Direction)
	if replaces {
		if m.Direction == protocol.Inbound {
			a.replaced(c, old, ref)
		}
		if old.Direction != ref.Direction && old.Transport == ref.Transport && ref.Since.Sub(old.Since) > connpool.Crossing { // the peer may have lost the old one
			c.Send(old.PID, suspectConn{elsewhereLimit + 4*max(old.Timings.Noise, ref.Timings.Noise), actors.ErrElsewhere})
		}
	}
	a.carry(c, a.table.Arrive(m.Peer, ref, m.Direction, m.Began), actors.CloseReason{Code: actors.CloseTieBreak, By: "us"})
	if m.arrived != nil {
		m.arrived()
	}
	c.Send(ref.PID, announced{})
}

// carry carries out the actions of the table. why is the reason for closing a
// connection, or the reason for which one has ended.
func (a *conns) carry(c actor.Context, acts []connpool.Act[*actors.ConnRef], why actors.CloseReason) {
	for _, act := range acts {
		ref := act.Conn
		switch act.Verb {
		case connpool.Announce:
			if old, ok := a.room.Connections.Get(ref.Peer); ok {
				ref.Link().Live.Succeed(old.Link().Live)
			}
			a.room.Connections.Set(ref.Peer, ref)
			a.room.needs.SettleAccounts(ref.Peer, true)
			supervisor.Publish(c, actors.PeerConnected{Peer: ref.Peer, Conn: ref})
		case connpool.Withdraw:
			a.room.Connections.Delete(ref.Peer)
			a.room.needs.SettleAccounts(ref.Peer, false)
			supervisor.Publish(c, actors.PeerDisconnected{Peer: ref.Peer, Conn: ref, Reason: why})
		case connpool.Retire:
			ref.Link().Live.Retire()
			c.Send(ref.PID, retireConn{})
		case connpool.CloseSilently:
			c.Send(ref.PID, CloseConn{ref.Peer, ref.ID, why})
		case connpool.Prove:
			c.Send(ref.PID, ConfirmWrites{act.Mark, supervisor.Now(c), c.Self()})
		}
	}
}

// proven tells the table that a connection has answered a ping. The table may then
// retire another connection to the same peer.
func (a *conns) proven(c actor.Context, m WritesConfirmed) {
	if ref := a.child(m.Conn); ref != nil {
		a.carry(c, a.table.Proven(ref.Peer, ref, m.Mark), actors.CloseReason{Code: actors.CloseTieBreak, By: "us"})
	}
}

func (a *conns) child(id uint64) *actors.ConnRef {
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
	supervisor.Publish(c, actors.PeerRefused{Peer: ad.up.Peer, Err: err})
}

// banned closes the connection of a peer that was just banned. If a connection is being
// adopted, adopt refuses it.
func (a *conns) banned(c actor.Context, m actors.PeerBanned) {
	why := actors.CloseReason{Code: actors.CloseBanned, By: "us"}
	if m.Reason != "" {
		why.Err = errors.New(m.Reason)
	}
	a.closeConn(c, CloseConn{Peer: m.Peer, Reason: why})
}

// closeConn closes one connection to the peer, or all of them if m.Conn is 0. With an orderly
// reason it closes the retired connections to the peer as well.
func (a *conns) closeConn(c actor.Context, m CloseConn) {
	if m.Conn == 0 {
		a.table.LeaveAll(m.Peer)
		a.closeEach(c, m, func(*actors.ConnRef) bool { return true })
		return
	}
	ref, ok := a.table.Get(m.Peer)
	live := ok && m.Conn == ref.ID
	if ok && !live {
		ref = a.child(m.Conn)
		ok = ref != nil
	}
	if ok && m.Reason.SparesUsed() && a.room.used(ref) { // it is in use by now
		return
	}
	if live && m.Reason.Orderly() {
		a.carry(c, a.table.Leave(m.Peer), m.Reason)
	}
	if ok {
		c.Send(ref.PID, m)
	}
	if m.Reason.Orderly() { // the retired ones are still finishing
		a.closeEach(c, m, func(ref *actors.ConnRef) bool {
			return ref.Retired() && !(m.Reason.SparesUsed() && a.room.used(ref))
		})
	}
}

// closeEach closes those connections to the peer that fit, the oldest first.
func (a *conns) closeEach(c actor.Context, m CloseConn, fits func(*actors.ConnRef) bool) {
	var all []*actors.ConnRef
	for _, ch := range a.children {
		if ch.ref.Peer == m.Peer && fits(ch.ref) {
			all = append(all, ch.ref)
		}
	}
	slices.SortFunc(all, func(x, y *actors.ConnRef) int { return cmp.Compare(x.ID, y.ID) })
	for _, ref := range all {
		c.Send(ref.PID, CloseConn{ref.Peer, ref.ID, m.Reason})
	}
}

// farewell sends GoAway on a session that is not adopted, and closes the session.
func (a *conns) farewell(c actor.Context, m Upgraded) {
	session, ok := m.Session.Take()
	if !ok {
		return
	}
	session.Release()
	supervisor.Go(c, "goodbye", session, func(context.Context) error { return session.GoAway() })
}

// ended handles the orderly end of a conn, which has sent its last message.
func (a *conns) ended(c actor.Context, m connEnded) {
	if ch, ok := a.children[m.Ref.PID.Id]; ok {
		a.remove(c, ch, m.Reason)
		c.Stop(ch.ref.PID)
	}
}

// terminated handles the end of a conn that has stopped without connEnded.
func (a *conns) terminated(c actor.Context, who *actor.PID) {
	if ch, ok := a.children[who.Id]; ok {
		why := actors.CloseReason{Code: actors.CloseCrashed, By: "us"}
		if supervisor.StoppedByHand(c) {
			why.Code = actors.CloseRequested
		}
		a.remove(c, ch, why)
	}
}

func (a *conns) remove(c actor.Context, ch child, why actors.CloseReason) {
	ref := ch.ref
	delete(a.children, ref.PID.Id)
	ch.detach()
	ch.session.Discard() // if the conn crashed before it took the session
	ended := actors.ClosedConn{At: supervisor.Now(c), Reason: why}
	if live := ref.Link().Live; live != nil {
		ended.MessagesIn, ended.MessagesOut = live.Received.Load(), live.Sent.Load()
		if session := live.Session.Load(); session != nil {
			last := session.Stats()
			ended.BytesIn, ended.BytesOut, ended.Stalls = last.BytesIn, last.BytesOut, last.Stalls
		}
	}
	ended.Ref = over(ref)
	a.room.closed.Add(ended)
	a.room.traffic.ended(why)
	a.carry(c, a.table.End(ref.Peer, ref), why)
	a.drained(c)
}

// drain closes every connection in the orderly way, and answers when all have ended.
func (a *conns) drain(c actor.Context) {
	a.draining = &draining{reply: c.Sender()}
	for _, ch := range a.children {
		ref := ch.ref
		a.table.LeaveAll(ref.Peer) // no other connection takes its place
		c.Send(ref.PID, CloseConn{ref.Peer, ref.ID, actors.CloseReason{Code: actors.CloseShutdown, By: "us"}})
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
	return fmt.Sprintf("%d connections", a.room.Connections.Len())
}
