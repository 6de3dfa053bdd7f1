package actors

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// rpcServer serves the users' services: it offers them, makes a session of each
// substream that a peer opens to one, and refuses those beyond the limits. While
// calls run it looks at them now and then, for those that are slow.
//
// In: AddService, RemoveService, SubstreamOpened, rpcAccepted, rpcEnded,
// stopService. Out: AddProtocol, RemoveProtocol, serviceStopped. A restart loses the sessions; the services outlive
// it.
type rpcServer struct {
	env      *Env
	sessions map[string]*rpcPlace // by path
	perPeer  map[identity.NodeID]*rpcShare
	pending  int
	serial   uint64
	refused  uint64
	quiet    int // looks without a running call

	asking   map[uint64]*rpcService // by token of AddProtocol
	joining  map[*rpcService]*actor.PID
	awaiting []*actor.PID
	draining *drain
}

// rpcPlace is what a session holds.
type rpcPlace struct {
	pid     *actor.PID
	peer    identity.NodeID
	id      protocol.ID
	pending bool
	serving *rpcServing
}

// rpcShare is what a peer has of the limits.
type rpcShare struct {
	sessions, pending int
	credit            *rpcCredit // of all its sessions
}

const (
	// Handshakes that may be under way, in all and of one peer.
	maxHandshakes        = 32
	maxHandshakesPerPeer = 4

	// The monitor looks this often while calls run, and this many times more.
	monitorEvery = 10 * time.Millisecond
	monitorQuiet = 100
)

type monitorTick struct{}

func newRPCServer(env *Env) actor.Actor {
	return &rpcServer{
		env: env, sessions: make(map[string]*rpcPlace), perPeer: make(map[identity.NodeID]*rpcShare),
		asking: make(map[uint64]*rpcService), joining: make(map[*rpcService]*actor.PID),
	}
}

func (a *rpcServer) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		a.env.rpcMonitor.awake.Store(false)
		for _, s := range a.env.services {
			if !s.stopped {
				a.offer(c, s)
			}
		}
	case SubstreamOpened:
		a.opened(c, m)
	case rpcAccepted:
		if p := a.sessions[m.who.Id]; p != nil && p.pending {
			p.pending = false
			a.pending--
			a.perPeer[p.peer].pending--
		}
	case rpcEnded:
		c.Stop(m.who)
	case *actor.Terminated:
		a.draining.drained(c, m.Who)
		a.gone(m.Who)
	case AddService:
		a.add(c, m)
	case RemoveService:
		a.remove(c, m)
	case stopService:
		a.stop(c, m.service)
	case ProtocolAdded:
		a.added(c, m)
	case ProtocolRemoved:
	case AwaitServices:
		a.awaiting = append(a.awaiting, c.Sender())
		a.ready(c)
	case monitorWake:
		a.quiet = 0
		supervisor.After(c, monitorEvery, monitorTick{})
	case monitorTick:
		a.look(c)
	case supervisor.TaskDone: // a refusal was said
	case supervisor.Drain:
		a.drain(c, m)
	case supervisor.Drained:
		a.draining.drained(c, m.From)
	default:
		supervisor.Unhandled(c)
	}
}

// opened makes a session, or refuses it for one of the reasons of spec: comms
// 9.3, in its order.
func (a *rpcServer) opened(c actor.Context, m SubstreamOpened) {
	service := a.service(m.Protocol)
	share := a.perPeer[m.Peer]
	if share == nil {
		share = &rpcShare{credit: newRPCCredit(a.env)}
	}
	var why rpc.Reason
	switch {
	case len(a.sessions) >= a.env.RPC.Sessions, a.draining != nil:
		why = rpc.NoServerSessions
	case service == nil, service.stopped:
		why = rpc.ProtocolUnsupported
	case share.sessions >= a.env.RPC.SessionsPerPeer, share.pending >= maxHandshakesPerPeer, a.pending >= maxHandshakes:
		why = rpc.NoServerSessions
	default:
		a.serial++
		p := &rpcPlace{peer: m.Peer, id: m.Protocol, pending: true}
		session := newRPCSession(a.env, service, share.credit, m)
		p.serving = session.serving
		p.pid = supervisor.Spawn(c, supervisor.Spec{
			Name: fmt.Sprintf("%s-%d", m.Peer, a.serial), Kind: "rpcSession", Drains: true,
			New: func() actor.Actor { return session },
		})
		a.sessions[p.pid.Id] = p
		a.perPeer[m.Peer] = share
		a.pending++
		share.sessions++
		share.pending++
		return
	}
	a.refuse(c, m, why)
}

func (a *rpcServer) service(id protocol.ID) *rpcService {
	for _, s := range a.env.services {
		if s.Protocol == id {
			return s
		}
	}
	return nil
}

func (a *rpcServer) refuse(c actor.Context, m SubstreamOpened, why rpc.Reason) {
	taken, ok := m.Stream.Take()
	if !ok {
		return
	}
	stream, ok := taken.(rpcStream)
	if !ok {
		taken.Close()
		return
	}
	a.refused++
	a.serial++
	supervisor.Log(c).Debug("rpc session refused", "peer", m.Peer, "proto", m.Protocol, "reason", why)
	supervisor.Go(c, fmt.Sprintf("refuse-%d", a.serial), stream, func(context.Context) error { return refuseRPC(a.env, stream, why) })
}

// gone gives back what a session held.
func (a *rpcServer) gone(who *actor.PID) {
	p := a.sessions[who.Id]
	if p == nil {
		return
	}
	delete(a.sessions, who.Id)
	share := a.perPeer[p.peer]
	share.sessions--
	if p.pending {
		a.pending--
		share.pending--
	}
	if share.sessions == 0 {
		delete(a.perPeer, p.peer)
	}
}

// look has the reading of slow calls taken over.
func (a *rpcServer) look(c actor.Context) {
	if a.runs(c) {
		a.quiet = 0
	} else if a.quiet++; a.quiet > monitorQuiet {
		a.env.rpcMonitor.awake.Store(false)
		if !a.runs(c) || !a.env.rpcMonitor.awake.CompareAndSwap(false, true) {
			return // one that begins now wakes us again
		}
	}
	supervisor.After(c, monitorEvery, monitorTick{})
}

func (a *rpcServer) runs(c actor.Context) (any bool) {
	for _, p := range a.sessions {
		call, running, slow := p.serving.look()
		any = any || running
		if slow {
			c.Send(p.pid, splitCall{call})
		}
	}
	return any
}

func (a *rpcServer) add(c actor.Context, m AddService) {
	service, err := newRPCService(m.Service)
	old := a.service(m.Service.Protocol)
	if err == nil && old != nil && old.stopped {
		a.forget(old)
		old = nil
	}
	if err == nil && (old != nil || a.env.reserved(m.Service.Protocol)) {
		err = fmt.Errorf("%w: %q", ErrProtocolTaken, string(m.Service.Protocol))
	}
	if err != nil {
		reply(c, ServiceAdded{err})
		return
	}
	a.env.services = append(a.env.services, service)
	a.joining[service] = c.Sender()
	a.offer(c, service)
}

// offer asks services to send what is meant for the protocol here.
func (a *rpcServer) offer(c actor.Context, s *rpcService) {
	token := a.env.NewID()
	a.asking[token] = s
	c.Request(a.env.Services, AddProtocol{Token: token, ID: s.Protocol, PID: c.Self()})
}

func (a *rpcServer) added(c actor.Context, m ProtocolAdded) {
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

func (a *rpcServer) forget(s *rpcService) {
	a.env.services = slices.DeleteFunc(a.env.services, func(o *rpcService) bool { return o == s })
	a.env.panics.forget(serviceKey(s.Protocol))
}

// stop ends a service for good that its panic policy stops: it is out of the
// protocol table, and its sessions end when their calls have.
func (a *rpcServer) stop(c actor.Context, s *rpcService) {
	if s.stopped || a.service(s.Protocol) != s {
		return
	}
	s.stopped = true
	a.env.panics.stop(serviceKey(s.Protocol))
	c.Request(a.env.Services, RemoveProtocol{ID: s.Protocol, PID: c.Self()})
	for _, p := range a.sessions {
		if p.serving.service == s {
			c.Send(p.pid, serviceStopped{})
		}
	}
}

func (a *rpcServer) remove(c actor.Context, m RemoveService) {
	s := a.service(m.ID)
	if s == nil {
		reply(c, ServiceRemoved{fmt.Errorf("%w: %q", ErrNoService, string(m.ID))})
		return
	}
	a.forget(s)
	c.Request(a.env.Services, RemoveProtocol{ID: m.ID, PID: c.Self()})
	for _, p := range a.sessions {
		if p.id == m.ID {
			p.serving.end() // at once: after the reply no call is answered
			c.Stop(p.pid)
		}
	}
	reply(c, ServiceRemoved{})
}

// ready answers AwaitServices once every service is in the table or refused.
func (a *rpcServer) ready(c actor.Context) {
	if len(a.asking) > 0 {
		return
	}
	var err error
	for _, s := range a.env.services {
		err = errors.Join(err, s.refused)
	}
	for _, to := range a.awaiting {
		c.Send(to, ServicesReady{err})
	}
	a.awaiting = nil
}

// drain takes no session any more and lets the calls that run end.
func (a *rpcServer) drain(c actor.Context, m supervisor.Drain) {
	a.draining = newDrain(c.Sender())
	for _, p := range a.sessions {
		a.draining.ask(c, p.pid, m)
	}
	a.draining.drained(c, c.Self())
}

func (a *rpcServer) String() string {
	stopped := 0
	for _, s := range a.env.services {
		if s.stopped {
			stopped++
		}
	}
	s := fmt.Sprintf("%d services, %d sessions", len(a.env.services)-stopped, len(a.sessions))
	if stopped > 0 {
		s += fmt.Sprintf(", %d stopped by a panic", stopped)
	}
	if a.pending > 0 {
		s += fmt.Sprintf(", %d handshakes", a.pending)
	}
	if a.refused > 0 {
		s += fmt.Sprintf(", %d refused", a.refused)
	}
	return s
}
