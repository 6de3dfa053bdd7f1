package connections

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/transport/upgrade"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
	"github.com/gamelan-p2p/gamelan/transport"
)

// listener accepts connections on one address and upgrades them.
//
// In: accepted connections and finished upgrades. Out: Upgraded to conns,
// livenessConn to liveness, PeerViolated, events ListenerBound, InboundRejected and
// AcceptFailed.
// A restart loses half-open upgrades; the same address is bound again.
type listener struct {
	room   *Room
	index  int
	bound  *Bound
	setups int
	total  uint64
	refuse uint64
	socket transport.Listener
	moves  int          // how often it has moved
	others base.Summary // connections whose first byte is not that of this network
	full   base.Summary // connections above a limit
	deaf   base.Summary // accepts that failed

	knocks map[*knock]bool // of which there are refusals that are to be logged later

	unsaid  int   // accepts that failed since the last AcceptFailed
	lastErr error // of the last of them
}

// Bound is an address to listen on. The listener's first incarnation takes the
// socket that Start has bound; each later one binds the address again.
type Bound struct {
	Transport transport.Transport
	Addr      ma.Multiaddr // with the bound port
	First     *supervisor.Handover[transport.Listener]

	moved atomic.Pointer[ma.Multiaddr] // where it listens instead of Addr; nil: at Addr
}

// Where returns the address that is listened on now.
func (b *Bound) Where() ma.Multiaddr {
	if at := b.moved.Load(); at != nil {
		return *at
	}
	return b.Addr
}

// NewListener makes the actor of one listening address.
func NewListener(room *Room, index int, b *Bound) actor.Actor {
	return &listener{
		room: room, index: index, bound: b, knocks: make(map[*knock]bool),
		others: base.Summary{What: "refused a connection: its first byte is not that of this network"},
		full:   base.Summary{What: "refused a connection: a limit is reached"},
		deaf:   base.Summary{What: "a connection cannot be accepted"},
	}
}

type (
	acceptedConn struct {
		conn *supervisor.Handover[transport.Conn]
	}
	notAccepted struct{ err error }
	inbound     struct {
		Upgraded
		addr  ma.Multiaddr
		probe *supervisor.Handover[transport.Conn] // the connection, if it asks for a liveness check instead
	}
)

// Discard closes the session or connection, unless somebody took it.
func (m inbound) Discard() {
	m.Upgraded.Discard()
	m.probe.Discard()
}

// upgradeKey identifies an upgrade by its connection.
type upgradeKey struct{ conn transport.Conn }

func (upgradeKey) String() string { return "upgrade" }

func (m acceptedConn) Discard() { m.conn.Discard() }

func (l *listener) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		l.listen(c)
	case acceptedConn:
		l.accept(c, m)
	case supervisor.Done[inbound]:
		l.upgraded(c, m.Key.(upgradeKey).conn, m.Value, m.Err)
	case notAccepted:
		l.notAccepted(c, m.err)
	case base.SummaryDue:
		m.Tell(c)
		if m.Is(&l.deaf) && l.unsaid > 0 {
			l.sayDeaf(c)
		}
	case knocksDue:
		l.sayKnocks(c, m.of)
	case MoveListener:
		supervisor.Reply(c, ListenerMoved{l.move(c, m.To)})
	case supervisor.TaskDone:
		if m.Name == l.task() {
			panic(fmt.Errorf("listener %s: %w", l.bound.Where(), m.Err)) // after the restart the address is bound again
		}
	default:
		supervisor.Unhandled(c)
	}
}

func (l *listener) listen(c actor.Context) {
	socket, ok := l.bound.First.Take()
	if !ok {
		var err error
		if socket, err = l.bound.Transport.Listen(context.Background(), l.bound.Where()); err != nil {
			panic(err)
		}
	}
	l.acceptOn(c, socket)
}

// move listens on another IP address, on the same port if that is free.
func (l *listener) move(c actor.Context, to netip.Addr) error {
	now, port := l.bound.Where(), uint16(0)
	if ip, ok := transport.IP(now); !ok || ip == to {
		return nil
	}
	if p := now[1].RawValue(); now[1].Code() == ma.P_TCP {
		port = binary.BigEndian.Uint16(p)
	}
	socket, err := l.bound.Transport.Listen(context.Background(), transport.FromAddrPort(netip.AddrPortFrom(to, port)))
	if err != nil {
		socket, err = l.bound.Transport.Listen(context.Background(), transport.FromAddrPort(netip.AddrPortFrom(to, 0)))
	}
	if err != nil {
		return err
	}
	l.moves++
	l.socket.Close()
	at := socket.Multiaddr()
	l.bound.moved.Store(&at)
	l.acceptOn(c, socket)
	return nil
}

// task names the task that accepts connections.
func (l *listener) task() string { return fmt.Sprintf("accept-%d", l.moves) }

func (l *listener) acceptOn(c actor.Context, socket transport.Listener) {
	l.socket = socket
	supervisor.GoLong(c, l.task(), socket, func(ctx context.Context) error {
		for {
			conn, err := socket.Accept()
			switch {
			case errors.Is(err, transport.ErrClosed) || ctx.Err() != nil:
				return err
			case err != nil:
				supervisor.Tell(ctx, notAccepted{err})
				if err := supervisor.Sleep(ctx, acceptPause); err != nil {
					return err
				}
			default:
				supervisor.Tell(ctx, acceptedConn{supervisor.Hand(conn, nil)})
			}
		}
	})
	supervisor.Publish(c, actors.ListenerBound{Index: l.index, Addr: l.bound.Where()})
}

// acceptPause is the wait after an accept that failed for a passing reason,
// such as too many open files.
const acceptPause = 100 * time.Millisecond

func (l *listener) accept(c actor.Context, m acceptedConn) {
	conn, ok := m.conn.Take()
	if !ok {
		return
	}
	if l.room.Draining.Load() != nil {
		conn.Close()
		l.refuse++
		supervisor.Publish(c, actors.InboundRejected{Addr: conn.RemoteMultiaddr(), Stage: "draining", Err: actors.ErrDraining})
		return
	}
	gated, err := l.room.inbound.enter(conn)
	if err != nil {
		conn.Close()
		l.tooMany(c, conn.RemoteMultiaddr(), identity.NodeID{}, err)
		return
	}
	conn = gated
	l.setups++
	room, via := l.room, l.bound.Transport.Name()
	supervisor.Do(c, upgradeKey{conn}, func(ctx context.Context) (inbound, error) {
		addr := conn.RemoteMultiaddr()
		waiting, cancel := context.WithTimeout(ctx, room.Profile.Limits.Setup)
		err := room.Announced(waiting)
		cancel()
		if err != nil {
			conn.Close()
			return inbound{addr: addr}, err
		}
		cfg := room.UpgradeConfig(conn)
		cfg.Probe = room.probes.may(addr, room.Now())
		var arrived func()
		cfg.Check = func(key identity.PublicKey) error {
			err := room.checkKey(key)
			if err == nil && room.Profile.Pattern != protocol.IX { // with IX the key is not proved yet
				arrived = room.setups.Begin(key.NodeID())
				gated.arrives(arrived)
			}
			if err == nil && !room.knows(key.NodeID()) {
				supervisor.Sleep(ctx, gated.newcomer()) // an error means that the node stops, and that ends the set-up as well
			}
			return err
		}
		r, err := upgrade.Inbound(ctx, conn, cfg)
		if errors.Is(err, upgrade.ErrProbe) {
			return inbound{addr: addr, probe: supervisor.Hand(conn, nil)}, nil
		}
		if err != nil {
			return inbound{addr: addr}, err
		}
		up := room.Upgraded(r, conn, via, protocol.Inbound)
		up.arrived, up.origin = arrived, gated.origin
		return inbound{Upgraded: up, addr: addr}, nil
	})
}

// notAccepted notes an accept that has failed. It logs and publishes the first one at once, and
// then once a minute the number of further ones.
func (l *listener) notAccepted(c actor.Context, err error) {
	l.room.inbound.deaf(err)
	l.unsaid++
	attrs := []any{"addr", l.bound.Where()}
	if transport.OutOfFiles(err) {
		attrs = append(attrs, "do", codes.FewFiles.Step)
	}
	if l.lastErr = err; l.deaf.Say(c, identity.NodeID{}, err, attrs...) {
		l.sayDeaf(c)
	}
}

// sayDeaf publishes how many accepts have failed.
func (l *listener) sayDeaf(c actor.Context) {
	supervisor.Publish(c, actors.AcceptFailed{Addr: l.bound.Addr, Err: l.lastErr, N: l.unsaid})
	l.unsaid, l.lastErr = 0, nil
}

// tooMany counts and publishes that a connection was closed because of a limit.
func (l *listener) tooMany(c actor.Context, addr ma.Multiaddr, peer identity.NodeID, err error) {
	l.refuse++
	l.full.Say(c, peer, err, "addr", addr)
	supervisor.Publish(c, actors.InboundRejected{Addr: addr, Peer: peer, Stage: "limit", Err: err})
}

func (l *listener) upgraded(c actor.Context, conn transport.Conn, m inbound, err error) {
	l.setups--
	if m.probe != nil {
		c.Send(l.room.LivenessActor, livenessConn{m.probe})
		return
	}
	if gated, ok := conn.(*gatedConn); ok && err == nil {
		err := gated.establish(false)
		if limit, full := errors.AsType[*protocol.LimitError](err); full && limit.Name == "MaxInbound" && l.room.makeRoom(c, m.Peer, m.origin) {
			err = gated.establish(true)
		}
		if err != nil { // more connections were set up at the same time than may stay
			m.Discard()
			l.tooMany(c, m.Addr, m.Peer, err)
			return
		}
	}
	if err == nil {
		l.total++
		c.Send(l.room.Conns, m.Upgraded)
		return
	}
	conn.Close() // it is closed already, unless the task has panicked
	if gated, ok := conn.(*gatedConn); ok {
		if limit := gated.overtaken(); limit != nil {
			l.tooMany(c, m.addr, identity.NodeID{}, limit)
			return
		}
	}
	l.refuse++
	rejected := actors.InboundRejected{Addr: m.addr, Err: err}
	if up, ok := errors.AsType[*upgrade.Error](err); ok {
		if refused, ok := errors.AsType[*actors.NotAdmittedError](err); ok {
			l.knocked(c, &unlisted, m.addr, up.Peer, refused)
		}
		rejected.Stage = string(up.Stage)
		if !up.Peer.IsZero() {
			rejected.Peer = up.Peer.NodeID()
		}
		if errors.Is(err, protocol.ErrViolation) && !up.Peer.IsZero() {
			violated := base.PeerViolated{Peer: rejected.Peer, Key: up.Peer, Err: err}
			if gated, ok := conn.(*gatedConn); ok {
				violated.Origin = gated.origin
			}
			c.Send(l.room.Connectivity, violated)
		}
	}
	if missing, ok := errors.AsType[*protocol.NoSecretError](err); ok {
		l.knocked(c, &noSecret, m.addr, identity.PublicKey{}, missing)
	}
	if wire, ok := errors.AsType[*upgrade.WireByteError](err); ok && !wire.Probe() {
		l.room.inbound.otherNetwork()
		l.others.Say(c, identity.NodeID{}, wire, "addr", m.addr)
	}
	supervisor.Log(c).Debug("inbound connection rejected", "addr", m.addr, "stage", rejected.Stage, "err", err)
	supervisor.Publish(c, rejected)
}

func (l *listener) String() string {
	return fmt.Sprintf("%s, %d accepted, %d rejected, %d in set-up", l.bound.Where(), l.total, l.refuse, l.setups)
}
