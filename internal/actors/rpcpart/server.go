package rpcpart

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/actors/users"
	"github.com/gamelan-p2p/gamelan/internal/share"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// AddService offers a service. Sent to rpc. Reply: ServiceAdded.
type AddService struct{ Service rpc.Service }

// ServiceAdded replies to AddService.
type ServiceAdded struct{ Err error }

// RemoveService ends a service and its sessions. Sent to rpc. Reply:
// ServiceRemoved.
type RemoveService struct{ ID protocol.ID }

// ServiceRemoved replies to RemoveService.
type ServiceRemoved struct{ Err error }

// AwaitServices asks rpc to say when all services are in the protocol table.
// Reply: ServicesReady.
type AwaitServices struct{}

// ServicesReady replies to AwaitServices. Err says why a service is not offered.
type ServicesReady struct{ Err error }

// ErrNoService reports the removal of a service that is not there.
var ErrNoService = errors.New("actors: no such service is registered")

// server offers the users' services. It makes a session of each substream that a peer
// opens to a service. When all places are taken, places says which session makes way, and
// otherwise the new one is refused. While calls run, it checks regularly which of them are slow.
//
// In: AddService, RemoveService, ownCall, AwaitServices, SubstreamOpened, accepted, sessionGone,
// methodFailed, stopService, monitorWake. Out: the replies, AddProtocol, RemoveProtocol,
// serviceStopped, splitCall, makesWay. A restart loses the sessions; the services outlive it.
type server struct {
	calls    *Calls
	sessions map[string]*sessionPlace // by path
	perPeer  map[identity.NodeID]*peerLimits
	places   [kinds]*places
	leaving  []*sessionPlace // those that have made way and not ended yet, the oldest first
	serial   uint64
	refused  uint64
	evicted  uint64
	quiet    int // checks in a row that found no running call

	asking   map[uint64]*registered // by token of AddProtocol
	joining  map[*registered]*actor.PID
	awaiting []*actor.PID
	draining *supervisor.Draining
	failed   base.Summary // failed methods, with errors that their callers do not see
}

// kind tells the users' services from the node's own, which have places apart.
type kind uint8

const (
	usersKind kind = iota
	ownKind
	kinds
)

// sessionPlace is what the server remembers of a session.
type sessionPlace struct {
	pid     *actor.PID
	holder  holder
	id      protocol.ID
	kind    kind
	pending bool // its handshake is under way
	left    bool // it has made way, and has no place any more
	serving *servedSession
}

// peerLimits counts what a peer uses of the limits.
type peerLimits struct {
	sessions, pending [kinds]int
	credit            *inboundCredit // of all its sessions
}

const (
	// The monitor checks the calls every monitorEvery while some run, and then
	// monitorQuiet times more.
	monitorEvery = 10 * time.Millisecond
	monitorQuiet = 100
)

type monitorTick struct{}

func newServer(calls *Calls) actor.Actor {
	return &server{
		calls: calls, sessions: make(map[string]*sessionPlace), perPeer: make(map[identity.NodeID]*peerLimits),
		places: [kinds]*places{usersKind: newPlaces(calls.Sessions, calls.Idle)},
		asking: make(map[uint64]*registered), joining: make(map[*registered]*actor.PID),
		failed: base.Summary{What: "method failed"},
	}
}

func (a *server) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		a.calls.monitor.awake.Store(false)
		for _, s := range a.calls.services {
			if !s.stopped {
				a.offer(c, s)
			}
		}
	case actors.SubstreamOpened:
		a.opened(c, m)
	case accepted:
		if p := a.sessions[m.who.Id]; p != nil && p.pending && !p.left {
			p.pending = false
			a.places[p.kind].accepted(p.holder)
			a.perPeer[p.holder.Key].pending[p.kind]--
		}
	case sessionGone:
		c.Stop(m.who)
	case *actor.Terminated:
		a.draining.Finished(c, m.Who)
		a.gone(m.Who)
	case AddService:
		a.add(c, m)
	case RemoveService:
		a.remove(c, m)
	case methodFailed:
		a.failed.Say(c, m.peer, m.err, "proto", m.id, "method", m.method.String())
	case base.SummaryDue:
		m.Tell(c)
	case stopService:
		a.stop(c, m.service)
	case users.ProtocolAdded:
		a.added(c, m)
	case users.ProtocolRemoved:
	case AwaitServices:
		a.awaiting = append(a.awaiting, c.Sender())
		a.ready(c)
	case monitorWake:
		a.quiet = 0
		supervisor.After(c, monitorEvery, monitorTick{})
	case monitorTick:
		a.look(c)
	case ownCall:
		supervisor.Go(c, "own call", nil, m.run)
	case supervisor.TaskDone: // the task of a refusal, or of a call of the node's own, has ended
	case supervisor.Drain:
		a.drain(c, m)
	case supervisor.Drained:
		a.draining.Finished(c, m.From)
	default:
		supervisor.Unhandled(c)
	}
}

// opened makes a session, or refuses it for one of the reasons of spec: comms 9.3.
func (a *server) opened(c actor.Context, m actors.SubstreamOpened) {
	service := a.calls.service(m.Protocol)
	of := a.perPeer[m.Peer]
	if of == nil {
		of = &peerLimits{credit: newInboundCredit(a.calls, true)}
	}
	kind, mostOfPeer := usersKind, a.calls.SessionsPerPeer
	if service != nil && service.own != nil {
		kind, mostOfPeer = ownKind, service.own.SessionsPerPeer
		if a.places[kind] == nil {
			a.places[kind] = newPlaces(service.own.Sessions, service.own.Idle)
		}
	}
	who := holder{Source: share.Source(m.Conn.Origin()), Key: m.Peer}
	var why rpc.Reason
	switch {
	case a.draining != nil:
		why = rpc.NoServerSessions
	case service == nil, service.stopped:
		why = rpc.ProtocolUnsupported
	case of.sessions[kind] >= mostOfPeer, of.pending[kind] >= maxHandshakesPerPeer, !a.makeRoom(c, kind, who):
		why = rpc.NoServerSessions
	default:
		a.serial++
		p := &sessionPlace{holder: who, id: m.Protocol, pending: true, kind: kind}
		session := newServerSession(a.calls, service, of.credit, m)
		p.serving = session.serving
		p.pid = supervisor.Spawn(c, supervisor.Spec{
			Name: fmt.Sprintf("%s-%d", m.Peer, a.serial), Kind: "rpcSession", Drains: true,
			New: func() actor.Actor { return session },
		})
		a.sessions[p.pid.Id] = p
		a.perPeer[m.Peer] = of
		a.places[kind].enter(who)
		of.sessions[kind]++
		of.pending[kind]++
		return
	}
	a.refuse(c, m, why)
}

// makeRoom has sessions make way for one of a newcomer until there is a place. It reports
// whether there is.
func (a *server) makeRoom(c actor.Context, kind kind, newcomer holder) bool {
	places := a.places[kind]
	full, _ := places.full()
	if !full {
		return true
	}
	now := a.calls.trunk.Now()
	all, of := make([]occupant, 0, places.sessions), make([]*sessionPlace, 0, places.sessions)
	for _, p := range a.sessions {
		if p.kind == kind && !p.left {
			o := occupant{holder: p.holder, last: p.holder.Source == share.None || now.Sub(p.serving.conn.Since) >= share.LastAfter}
			o.doing, o.since = p.serving.doing()
			all, of = append(all, o), append(of, p)
		}
	}
	for ; full; full, _ = places.full() {
		i := places.way(now, newcomer, all)
		if i < 0 {
			return false
		}
		if of[i].serving.makeWay() {
			a.makesWay(c, of[i])
		}
		all[i].doing = busy // it has left, or a call has just begun
	}
	return true
}

// makesWay takes the place of a session that accepts nothing any more. It ends in order, and soon.
func (a *server) makesWay(c actor.Context, p *sessionPlace) {
	a.evicted++
	a.free(p)
	p.left = true
	c.Send(p.pid, makesWay{})
	if a.leaving = append(a.leaving, p); len(a.leaving) > maxLeaving {
		a.leaving[0].serving.end()
		a.leaving = a.leaving[1:]
	}
}

func (a *server) refuse(c actor.Context, m actors.SubstreamOpened, why rpc.Reason) {
	stream, ok := m.Stream.Take()
	if !ok {
		return
	}
	a.refused++
	a.serial++
	supervisor.Log(c).Debug("rpc session refused", "peer", m.Peer, "proto", m.Protocol, "reason", why)
	supervisor.Go(c, fmt.Sprintf("refuse-%d", a.serial), stream, func(context.Context) error { return refuse(a.calls, stream, why) })
}

// gone forgets a session that has ended, and frees its place in the limits.
func (a *server) gone(who *actor.PID) {
	p := a.sessions[who.Id]
	if p == nil {
		return
	}
	delete(a.sessions, who.Id)
	if p.left {
		a.leaving = slices.DeleteFunc(a.leaving, func(o *sessionPlace) bool { return o == p })
		return
	}
	a.free(p)
}

// free frees the place of a session.
func (a *server) free(p *sessionPlace) {
	of := a.perPeer[p.holder.Key]
	of.sessions[p.kind]--
	if p.pending {
		of.pending[p.kind]--
	}
	a.places[p.kind].leave(p.holder, p.pending)
	if of.sessions == [kinds]int{} {
		delete(a.perPeer, p.holder.Key)
	}
}

// look checks the running calls: for each slow one another task takes over the reading.
func (a *server) look(c actor.Context) {
	if a.runs(c) {
		a.quiet = 0
	} else if a.quiet++; a.quiet > monitorQuiet {
		a.calls.monitor.awake.Store(false)
		if !a.runs(c) || !a.calls.monitor.awake.CompareAndSwap(false, true) {
			return // a call that begins now sends monitorWake
		}
	}
	supervisor.After(c, monitorEvery, monitorTick{})
}

func (a *server) runs(c actor.Context) (any bool) {
	for _, p := range a.sessions {
		call, running, slow := p.serving.look()
		any = any || running
		if slow {
			c.Send(p.pid, splitCall{call})
		}
	}
	return any
}

func (a *server) add(c actor.Context, m AddService) {
	service, err := newRegistered(m.Service)
	old := a.calls.service(m.Service.Protocol)
	if err == nil && old != nil && old.stopped {
		a.forget(old)
		old = nil
	}
	if err == nil && (old != nil || a.calls.trunk.Reserved(m.Service.Protocol)) {
		err = fmt.Errorf("%w: %q", actors.ErrProtocolTaken, string(m.Service.Protocol))
	}
	if err != nil {
		supervisor.Reply(c, ServiceAdded{err})
		return
	}
	a.calls.services = append(a.calls.services, service)
	a.calls.offered.Set(service.Protocol, service)
	a.joining[service] = c.Sender()
	a.offer(c, service)
}

// offer asks services to pass the substreams of the protocol to this actor.
func (a *server) offer(c actor.Context, s *registered) {
	token := a.calls.trunk.NewID()
	a.asking[token] = s
	c.Request(a.calls.trunk.Services(), users.AddProtocol{Token: token, ID: s.Protocol, PID: c.Self(), Own: s.own != nil})
}

func (a *server) added(c actor.Context, m users.ProtocolAdded) {
	s := a.asking[m.Token]
	if s == nil {
		return
	}
	delete(a.asking, m.Token)
	s.refused = m.Err
	if to, ok := a.joining[s]; ok {
		delete(a.joining, s)
		if m.Err != nil {
			a.forget(s)
		}
		if to != nil {
			c.Send(to, ServiceAdded{m.Err})
		}
	}
	a.ready(c)
}

func (a *server) forget(s *registered) {
	a.calls.services = slices.DeleteFunc(a.calls.services, func(o *registered) bool { return o == s })
	a.calls.offered.Delete(s.Protocol)
	a.calls.trunk.ServiceEnded(s.Protocol)
}

// stop ends a service for good, because of its panic policy. It removes the service from
// the protocol table. The service's sessions end when their running calls have ended.
func (a *server) stop(c actor.Context, s *registered) {
	if s.stopped || a.calls.service(s.Protocol) != s {
		return
	}
	s.stopped = true
	a.calls.offered.Delete(s.Protocol)
	a.calls.trunk.ServiceStopped(s.Protocol)
	c.Request(a.calls.trunk.Services(), users.RemoveProtocol{ID: s.Protocol, PID: c.Self()})
	for _, p := range a.sessions {
		if p.serving.service == s {
			c.Send(p.pid, serviceStopped{})
		}
	}
}

func (a *server) remove(c actor.Context, m RemoveService) {
	s := a.calls.service(m.ID)
	if s == nil || s.own != nil {
		supervisor.Reply(c, ServiceRemoved{fmt.Errorf("%w: %q", ErrNoService, string(m.ID))})
		return
	}
	a.forget(s)
	c.Request(a.calls.trunk.Services(), users.RemoveProtocol{ID: m.ID, PID: c.Self()})
	for _, p := range a.sessions {
		if p.id == m.ID {
			p.serving.end() // at once: after the reply no call is answered
			c.Stop(p.pid)
		}
	}
	supervisor.Reply(c, ServiceRemoved{})
}

// ready answers AwaitServices once every service is in the table or refused.
func (a *server) ready(c actor.Context) {
	if len(a.asking) > 0 {
		return
	}
	var err error
	for _, s := range a.calls.services {
		err = errors.Join(err, s.refused)
	}
	for _, to := range a.awaiting {
		c.Send(to, ServicesReady{err})
	}
	a.awaiting = nil
}

// drain refuses new sessions and lets the running calls end.
func (a *server) drain(c actor.Context, m supervisor.Drain) {
	a.draining = supervisor.NewDraining(c.Sender())
	for _, p := range a.sessions {
		a.draining.Ask(c, p.pid, m)
	}
	a.draining.Finished(c, c.Self())
}

func (a *server) String() string {
	stopped := 0
	for _, s := range a.calls.services {
		if s.stopped {
			stopped++
		}
	}
	s := fmt.Sprintf("%d services, %d sessions", len(a.calls.services)-stopped, len(a.sessions))
	if stopped > 0 {
		s += fmt.Sprintf(", %d stopped by a panic", stopped)
	}
	pending := 0
	for _, p := range a.places {
		if p != nil {
			pending += p.handshakes
		}
	}
	if pending > 0 {
		s += fmt.Sprintf(", %d handshakes", pending)
	}
	if a.evicted > 0 {
		s += fmt.Sprintf(", %d evicted", a.evicted)
	}
	if a.refused > 0 {
		s += fmt.Sprintf(", %d refused", a.refused)
	}
	return s
}
