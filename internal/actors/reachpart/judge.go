package reachpart

import (
	"encoding/hex"
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/actors/connections"
	"github.com/gamelan-p2p/gamelan/internal/actors/users"
	"github.com/gamelan-p2p/gamelan/internal/protocol/reach"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// judge finds out at which addresses others can reach this node. It asks connected nodes of this
// library where they see it, and to connect to it there. The machine reach.Judge decides.
//
// In: PeerConnected, PeerListed, PeerDisconnected, ClaimChanged, ProbeSeen,
// SubstreamOpened, SubstreamFailed, networkChanged, results of its tasks. Out: OpenSubstream, event
// ReachChanged, provenChanged to watch. A restart forgets the verdicts and asks again.
type judge struct {
	r       *Reach
	machine *reach.Judge
	asks    map[uint64]any // by the token of what is being opened: *actors.ConnRef to observe, reach.Request
	due     *supervisor.Timer
}

type (
	judgeTick      struct{}
	networkChanged struct{} // the machine's addresses, or what others are told
	provenChanged  struct{}
	lookNow        struct{} // somebody asks that all be looked at at once
	heard          struct {
		answer reach.Answer
		ahead  time.Duration // by which this machine's clock is ahead of the peer's
		clock  bool          // ahead is known
	}
	observedKey struct{ with *actors.ConnRef }
	backKey     struct{ request reach.Request }
)

func (j *judge) Receive(c actor.Context) {
	now := supervisor.Now(c)
	switch m := c.Message().(type) {
	case *actor.Started:
		j.machine = reach.NewJudge(supervisor.Rand(c))
		j.asks = make(map[uint64]any)
		supervisor.Subscribe[actors.PeerConnected](c)
		supervisor.Subscribe[connections.PeerListed](c)
		supervisor.Subscribe[actors.PeerDisconnected](c)
		supervisor.Subscribe[users.ClaimChanged](c)
		supervisor.Subscribe[connections.ProbeSeen](c)
		j.look(c)
		for _, ref := range j.r.trunk.Connections().All() {
			j.meets(c, ref)
		}
	case networkChanged, users.ClaimChanged:
		j.look(c)
	case actors.PeerConnected:
		j.meets(c, m.Conn)
	case connections.PeerListed:
		j.meets(c, m.Conn)
	case actors.PeerDisconnected:
		j.machine.Over(now, m.Peer, m.Conn.ID)
		j.do(c, j.machine.Left(now, m.Peer, m.Conn.ID))
	case connections.ProbeSeen:
		var token [reach.TokenLen]byte
		if n, err := hex.Decode(token[:], []byte(m.Token)); err == nil && n == len(token) {
			j.do(c, j.machine.Came(now, token))
		}
	case actors.SubstreamOpened:
		j.opened(c, m)
	case connections.SubstreamFailed:
		j.failed(c, m)
	case supervisor.Done[heard]:
		j.heard(c, m)
	case lookNow:
		j.do(c, j.machine.Again(now))
	case judgeTick:
		j.do(c, j.machine.Look(now))
	default:
		supervisor.Unhandled(c)
	}
}

// look tells the machine what this node has.
func (j *judge) look(c actor.Context) {
	claimed, ports := literal(j.r.Claimed()), j.r.Ports()
	for _, a := range claimed {
		if !slices.Contains(ports, a.Port()) {
			ports = append(ports, a.Port())
		}
	}
	j.do(c, j.machine.Set(supervisor.Now(c), j.r.Addresses(), claimed, ports))
	for _, ref := range j.r.trunk.Connections().All() { // the machine forgets all when its addresses have changed
		j.entered(c, ref)
	}
}

// literal returns the addresses with an IP address.
func literal(addrs []ma.Multiaddr) (list []netip.AddrPort) {
	for _, a := range addrs {
		if at, ok := addrPort(a); ok {
			list = append(list, at)
		}
	}
	return list
}

// meets notes a peer that can help.
func (j *judge) meets(c actor.Context, with *actors.ConnRef) {
	if o, _, ok := j.r.observer(with); ok {
		j.do(c, j.machine.Met(supervisor.Now(c), o))
	}
	j.entered(c, with)
}

// entered notes a connection that another machine has made, and that one has taken the place of such a one.
func (j *judge) entered(c actor.Context, with *actors.ConnRef) {
	from, direct := seen(with)
	switch {
	case !j.r.lives(with):
	case direct && with.Direction == protocol.Inbound:
		j.machine.Entered(with.Peer, with.ID, from.Addr(), with.Link().Local)
	default:
		j.machine.Replaced(supervisor.Now(c), with.Peer)
	}
}

// lives reports whether a connection is its peer's, as far as is known here.
func (r *Reach) lives(with *actors.ConnRef) bool {
	now, ok := r.trunk.Connections().Get(with.Peer)
	return ok && now.ID == with.ID
}

// observer returns a peer that can help, and its address; ok is false for any other one.
func (r *Reach) observer(with *actors.ConnRef) (o reach.Observer, at netip.AddrPort, ok bool) {
	at, direct := seen(with)
	if !r.lives(with) { // its end is known already, or will be
		return o, at, false
	}
	if !direct || !with.Accepts(reach.ID) || with.Retired() {
		return o, at, false
	}
	return reach.Observer{
		ID: with.Peer, Conn: with.ID, Network: reach.NetworkOf(at.Addr()), Dialled: with.Direction == protocol.Outbound, Trusted: r.Trusted(with.Peer),
	}, at, true
}

// do carries out what the machine decides.
func (j *judge) do(c actor.Context, a reach.Asks) {
	for _, peer := range a.Observe {
		if with, ok := j.r.trunk.Connections().Get(peer); ok {
			j.open(c, with, with)
		}
	}
	for _, r := range a.Dial {
		with, ok := j.r.trunk.Connections().Get(r.Peer)
		if !ok || with.ID != r.Conn || j.r.draining() || !j.r.trunk.ExpectProbe(hex.EncodeToString(r.Token[:]), supervisor.Now(c).Add(reach.AskLimit)) {
			j.do(c, j.machine.Answered(supervisor.Now(c), r, reach.NoAnswer))
			continue
		}
		j.open(c, with, r)
	}
	j.publish(c)
	if j.due != nil {
		j.due.Stop()
	}
	j.due = supervisor.At(c, j.machine.Due(supervisor.Now(c)), judgeTick{})
}

func (j *judge) open(c actor.Context, with *actors.ConnRef, ask any) {
	token := j.r.trunk.NewID()
	j.asks[token] = ask
	j.r.trunk.OpenSubstream(with, token, c.Self(), reach.ID)
}

// publish tells the verdicts, if they have changed.
func (j *judge) publish(c actor.Context) {
	now := supervisor.Now(c)
	verdicts := j.machine.Judged(now)
	before := j.r.verdicts.Load()
	j.r.verdicts.Store(&verdicts)
	if proven := j.machine.Proven(); !slices.Equal(proven, j.r.provenNow()) {
		j.r.proven.Store(&proven)
		c.Send(j.r.watcher, provenChanged{})
	}
	if before != nil && slices.EqualFunc(*before, verdicts, func(a, b protocol.Reachability) bool { return a.Addr == b.Addr && a.Verdict == b.Verdict }) {
		return
	}
	told := literal(j.r.Claimed())
	for _, v := range verdicts {
		same := before != nil && slices.ContainsFunc(*before, func(b protocol.Reachability) bool { return b.Addr == v.Addr && b.Verdict == v.Verdict })
		if v.Verdict != protocol.ReachNotKnown && !same && (v.Ours || slices.Contains(told, v.Addr)) {
			if v.Verdict == protocol.Reachable {
				supervisor.Log(c).Info("reachable", "addr", v.Addr, "nodes", v.By)
			} else {
				supervisor.Log(c).Info("not reachable", "addr", v.Addr, "nodes", v.By)
			}
		}
	}
	supervisor.Publish(c, actors.ReachChanged{Addresses: verdicts})
}

func (j *judge) opened(c actor.Context, m actors.SubstreamOpened) {
	ask := j.asks[m.Token]
	delete(j.asks, m.Token)
	stream, ok := m.Stream.Take()
	if !ok {
		j.unanswered(c, ask)
		return
	}
	var request reach.Ask
	var key any
	limit := answerLimit
	switch a := ask.(type) {
	case *actors.ConnRef:
		request, key = reach.Ask{Observe: true}, observedKey{a}
	case reach.Request:
		request, key, limit = reach.Ask{Port: a.Port, Token: a.Token}, backKey{a}, reach.AskLimit
	default:
		stream.Close()
		return
	}
	j.r.request(c, key, stream, request, limit)
}

func (j *judge) failed(c actor.Context, m connections.SubstreamFailed) {
	ask := j.asks[m.Token]
	delete(j.asks, m.Token)
	j.unanswered(c, ask)
}

// unanswered notes that a request has failed before it was sent.
func (j *judge) unanswered(c actor.Context, ask any) {
	switch a := ask.(type) {
	case *actors.ConnRef:
		j.do(c, j.machine.Unobserved(supervisor.Now(c), a.Peer, a.ID))
	case reach.Request:
		j.do(c, j.machine.Answered(supervisor.Now(c), a, reach.NoAnswer))
	}
}

func (j *judge) heard(c actor.Context, m supervisor.Done[heard]) {
	now := supervisor.Now(c)
	switch k := m.Key.(type) {
	case observedKey:
		if errors.Is(m.Err, protocol.ErrViolation) {
			c.Send(j.r.trunk.Connectivity(), base.Violated(k.with, m.Err))
		}
		if m.Err != nil {
			j.do(c, j.machine.Unobserved(now, k.with.Peer, k.with.ID))
			return
		}
		c.Send(j.r.clock, said{k.with, m.Value})
		j.do(c, j.machine.Observed(now, k.with.Peer, k.with.ID, seenThere(m.Value.answer)))
	case backKey:
		code := m.Value.answer.Code
		if m.Err != nil || code == reach.Failed && j.r.draining() { // this node refuses connections, whoever can reach it
			code = reach.NoAnswer
		}
		j.do(c, j.machine.Answered(now, k.request, code))
	}
}

// seenThere returns the address that an answer names, if others can be told of it.
func seenThere(a reach.Answer) netip.Addr {
	ip := a.Seen.Addr()
	if a.Code != reach.OK || ip.IsLoopback() || ip.IsUnspecified() || ip.IsLinkLocalUnicast() || ip.IsMulticast() {
		return netip.Addr{}
	}
	return ip
}
