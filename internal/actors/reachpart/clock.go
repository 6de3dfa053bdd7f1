package reachpart

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/actors/connections"
	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
	"github.com/gamelan-p2p/gamelan/internal/protocol/reach"
	"github.com/gamelan-p2p/gamelan/internal/words"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// clock asks connected nodes of this library for their time, and hears of another node with this
// node's identity. The machines reach.Clocks and reach.Duplicate decide.
//
// In: PeerConnected, PeerListed, PeerDisconnected, ClockSet, MachineSlept, said of judge, SubstreamOpened,
// SubstreamFailed, results of its tasks. Out: OpenSubstream, PeerViolated. A restart asks all again.
type clock struct {
	r      *Reach
	clocks *reach.Clocks
	asks   map[uint64]*actors.ConnRef // by the token of what is being opened
	due    *supervisor.Timer
}

type (
	clockTick struct{}
	// said is what a peer has answered to Observe.
	said struct {
		with *actors.ConnRef
		heard
	}
)

// clockTold is how far the clock is off, as the part tells it.
type clockTold struct {
	ahead   time.Duration
	sources int
	ok      bool
	off     *clockIsOff // what was found last; nil: it is right
}

// clockIsOff is a median by which the clock is off.
type clockIsOff struct {
	ahead   time.Duration
	sources int
	at      time.Time
}

// duplicateTold is another node with this node's identity.
type duplicateTold struct {
	claim identity.Claim
	at    time.Time
	proof reach.Proof
}

func (a *clock) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		a.clocks, a.asks = reach.NewClocks(a.r.Private), make(map[uint64]*actors.ConnRef)
		a.clocks.Wide = !a.r.Judge
		supervisor.Subscribe[actors.PeerConnected](c)
		supervisor.Subscribe[connections.PeerListed](c)
		supervisor.Subscribe[actors.PeerDisconnected](c)
		supervisor.Subscribe[actors.ClockSet](c)
		supervisor.Subscribe[actors.MachineSlept](c)
		for _, ref := range a.r.trunk.Connections().All() {
			a.met(ref)
		}
		a.ask(c)
	case actors.PeerConnected:
		a.met(m.Conn)
		a.ask(c)
	case connections.PeerListed:
		a.met(m.Conn)
		a.ask(c)
	case actors.PeerDisconnected:
		a.clocks.Left(m.Peer, m.Conn.ID)
		a.tell(c)
	case actors.ClockSet, actors.MachineSlept:
		a.clocks.Forget()
		a.forgive()
		a.ask(c)
	case clockTick:
		a.ask(c)
	case actors.SubstreamOpened:
		a.opened(c, m)
	case connections.SubstreamFailed:
		delete(a.asks, m.Token)
	case said:
		a.said(c, m)
	case supervisor.Done[heard]:
		with := m.Key.(observedKey).with
		switch {
		case m.Err == nil:
			a.said(c, said{with, m.Value})
		case errors.Is(m.Err, protocol.ErrViolation):
			c.Send(a.r.trunk.Connectivity(), base.Violated(with, m.Err))
		}
	default:
		supervisor.Unhandled(c)
	}
}

// met notes a node that can tell its time. One behind Tor or a proxy is not asked, and loopback has
// this machine's clock.
func (a *clock) met(with *actors.ConnRef) {
	if o, at, ok := a.r.observer(with); ok {
		a.clocks.Met(o, at.Addr())
		if !a.r.Judge { // else judge asks on each connection
			a.clocks.Again(o.ID)
		}
	}
}

// ask asks those whose turn it is.
func (a *clock) ask(c actor.Context) {
	peers, again := a.clocks.Ask(supervisor.Now(c))
	for _, peer := range peers {
		if with, ok := a.r.trunk.Connections().Get(peer); ok {
			token := a.r.trunk.NewID()
			a.asks[token] = with
			a.r.trunk.OpenSubstream(with, token, c.Self(), reach.ID)
		}
	}
	if a.due != nil {
		a.due.Stop()
	}
	a.due = supervisor.At(c, again, clockTick{})
	a.tell(c)
}

func (a *clock) opened(c actor.Context, m actors.SubstreamOpened) {
	with := a.asks[m.Token]
	delete(a.asks, m.Token)
	stream, ok := m.Stream.Take()
	switch {
	case !ok:
	case with == nil:
		stream.Close()
	default:
		a.r.request(c, observedKey{with}, stream, reach.Ask{Observe: true}, answerLimit)
	}
}

// said takes the answer of a peer.
func (a *clock) said(c actor.Context, m said) {
	o, at, ok := a.r.observer(m.with)
	if !ok {
		return
	}
	now := supervisor.Now(c)
	a.clocks.Heard(now, m.with.Peer, m.ahead, m.clock)
	a.tell(c)
	if other := m.answer.Other; other != nil {
		other.Claim.Key = a.r.trunk.Key()
		if !a.r.trunk.Signed(other.Claim.Signature) && other.Claim.VerifyWithin(supervisor.Wall(c), anyDate) == nil &&
			a.r.duplicate.Heard(now, supervisor.Wall(c), o, at.Addr(), other) > reach.NoProof {
			a.duplicated(c)
		}
	}
}

// anyDate accepts any date of a claim of this node's own key: the date may be what is wrong.
const anyDate = 100 * 365 * 24 * time.Hour

// forgive forgets that the clock was off: it was set.
func (a *clock) forgive() { a.r.clockTold.Store(new(clockTold)) }

// tell tells how far the clock is off, and logs when that begins and ends.
func (a *clock) tell(c actor.Context) {
	now := supervisor.Now(c)
	var t clockTold
	t.ahead, t.sources, t.ok = a.clocks.Ahead(now)
	before := a.r.clockTold.Load()
	was := before != nil && before.off != nil
	if before != nil {
		t.off = before.off
	}
	t.off = t.verdict(now, a.r.ClockOff)
	a.r.clockTold.Store(&t)
	switch {
	case t.off != nil && !was:
		supervisor.Log(c).Warn("the clock of this machine is off", "ahead", t.ahead.Round(time.Second), "n", t.sources)
	case was && t.off == nil && t.ok:
		supervisor.Log(c).Info("the clock of this machine is right again", "ahead", t.ahead.Round(time.Second), "n", t.sources)
	}
}

// A clock is off until a median says that it is off by less than offAgain percent of the limit. Without a median it
// stays off for offFor.
const (
	offAgain = 80
	offFor   = 4 * time.Hour
)

// verdict returns how far the clock is off; nil: it is right, or nobody has said otherwise for long.
func (t *clockTold) verdict(now time.Time, limit time.Duration) *clockIsOff {
	switch {
	case !t.ok && t.off != nil && now.Sub(t.off.at) <= offFor:
		return t.off
	case !t.ok:
		return nil
	case t.off != nil && t.ahead.Abs() > limit*offAgain/100, t.ahead.Abs() > limit:
		return &clockIsOff{t.ahead, t.sources, now}
	}
	return nil
}

// duplicated tells that another node uses this node's identity, and logs it once while that lasts.
func (a *clock) duplicated(c actor.Context) {
	claim, at, proof := a.r.duplicate.Present(supervisor.Now(c))
	if proof == reach.NoProof {
		return
	}
	before := a.r.duplicateTold.Swap(&duplicateTold{claim, at, proof})
	switch {
	case before != nil && at.Sub(before.at) <= reach.DuplicateFor && before.proof >= proof:
	case proof == reach.Proven:
		supervisor.Log(c).Warn("another node uses the identity of this one; give each node a data directory of its own", "addrs", addressesOf(claim))
	default:
		supervisor.Log(c).Warn("another node may use the identity of this one: some peers say so, and nothing proves it", "addrs", addressesOf(claim))
	}
}

// addressesOf returns the addresses of a claim, as people write them.
func addressesOf(claim identity.Claim) (list []string) {
	for _, raw := range claim.Addresses {
		if addr, err := ma.NewMultiaddrBytes(raw); err == nil {
			list = append(list, address.Short(addr))
		}
	}
	return list
}

// clockOff returns a warning if the clock of this machine is off.
func (r *Reach) clockOff() models.Notices {
	t := r.clockTold.Load()
	if t == nil || t.off == nil || r.trunk.Now().Sub(t.off.at) > offFor {
		return nil
	}
	way := "ahead"
	if t.off.ahead < 0 {
		way = "behind"
	}
	return models.Notices{codes.ClockOff.Notice(fmt.Sprintf("the clock of this machine is %s %s: most of %d connected nodes that were asked agree on another time", words.Long(t.off.ahead.Abs()), way, t.off.sources),
		strconv.FormatInt(int64(t.off.ahead/time.Second), 10))}
}

// ownIdentity returns a notice if another node uses the identity of this one, and this is so sure.
func (r *Reach) ownIdentity(proof reach.Proof) models.Notices {
	d := r.duplicateTold.Load()
	if d == nil || d.proof != proof {
		return nil
	}
	now := r.trunk.Now()
	if now.Sub(d.at) > reach.DuplicateFor {
		return nil
	}
	where, at := "", ""
	if addrs := addressesOf(d.claim); len(addrs) > 0 {
		at = addrs[0]
		where = ", at " + at
	}
	ago := words.Long(now.Sub(d.at))
	if proof == reach.Proven {
		return models.Notices{codes.OwnIdentity.Notice(fmt.Sprintf("another node uses the identity of this one%s: peers have seen it, the last %s ago, and the connections of both keep replacing each other", where, ago), at)}
	}
	n := codes.OwnIdentity.Notice(fmt.Sprintf("another node may use the identity of this one%s: peers say that they have seen it, the last %s ago, and show no proof", where, ago), at)
	n.Severity = models.Warning
	return models.Notices{n}
}

// maxStep is by how much this machine's clocks may go on differently while a peer is asked for its time.
const maxStep = time.Second

// request sends a request and reads the answer, in a task with this key.
func (r *Reach) request(c actor.Context, key any, stream protocol.Stream, ask reach.Ask, limit time.Duration) {
	t := r.trunk
	until := supervisor.Now(c).Add(limit)
	supervisor.DoWith(c, key, stream, func(context.Context) (h heard, err error) {
		if err := stream.SetDeadline(until); err != nil {
			return h, err
		}
		began, wall := t.Now(), t.Wall() // a step or a sleep between here and the answer says nothing of the peer
		if _, err := stream.Write(reach.AppendAsk(nil, ask)); err != nil {
			return h, err
		}
		h.answer, err = reach.ReadAnswer(stream)
		if err == nil && h.answer.Clock > 0 { // told in whole seconds
			took := t.Now().Sub(began)
			h.ahead, h.clock = wall.Add(took/2).Sub(time.Unix(h.answer.Clock, int64(time.Second/2))), (t.Wall().Sub(wall)-took).Abs() <= maxStep
		}
		return h, err
	})
}
