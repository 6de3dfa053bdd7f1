package dialling

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/actors/connections"
	"github.com/gamelan-p2p/gamelan/internal/actors/peerbook"
	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
	"github.com/gamelan-p2p/gamelan/internal/transport/dial"
	"github.com/gamelan-p2p/gamelan/internal/transport/upgrade"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
	"github.com/gamelan-p2p/gamelan/transport"
)

// dialer carries out what dial.Scheduler decides: which peer to dial, and when. A peer
// has one dial at a time, however many askers it has. The dialer answers the askers
// when conns announces a connection, not when the upgrade ends: the new connection may
// yet lose the tie-break.
//
// In: DialPeer, OfferPeer, CancelDial, GetDials, dialAnew, events PeerConnected and PeerRefused. Out: PeerDialed, PeerOffered, Dials,
// Upgraded to conns, AddPeer, SeenPeer, PeerViolated, event DialFailed. A restart loses all
// dials; abandon answers the askers.
type dialer struct {
	room    *Room
	plan    *dial.Scheduler
	running map[identity.NodeID]*dialRace
	waiting map[identity.NodeID][]DialPeer
	again   map[identity.NodeID][]DialPeer // requests that the dialer makes once more: see settle
	offers  map[identity.NodeID]uint64     // the offer with which the last attempt was made
	asked   map[identity.NodeID]string     // names of the askers of each attempt under way
	anew    time.Time                      // when dials began again; zero: never
}

// NewDialer makes the actor that dials.
func NewDialer(room *Room) actor.Actor {
	return &dialer{
		room:    room,
		running: make(map[identity.NodeID]*dialRace),
		waiting: make(map[identity.NodeID][]DialPeer),
		again:   make(map[identity.NodeID][]DialPeer),
		asked:   make(map[identity.NodeID]string),
		offers:  make(map[identity.NodeID]uint64),
	}
}

type (
	dueTick   struct{}
	againTick struct{ peer identity.NodeID }
	// dialAnew says that there may be a new way to others.
	dialAnew struct{}
)

func (d *dialer) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		d.plan = dial.New(dial.Options{InFlight: d.room.MaxDials, Rate: d.room.DialRate, Random: supervisor.Rand(c).Rand})
		supervisor.OwnFunc(c, d.abandon)
		for peer, o := range d.room.offered.All() { // of an earlier incarnation, whose timers are gone
			supervisor.After(c, offerLimit, offerTick{peer, o.serial})
		}
		supervisor.Subscribe[actors.PeerConnected](c)
		supervisor.Subscribe[actors.PeerRefused](c)
	case DialPeer:
		d.dialPeer(c, m)
	case OfferPeer:
		d.offer(c, m)
	case offerTick:
		d.offerDue(m)
	case CancelDial:
		d.cancelDial(c, m)
	case dialAnew:
		d.dialAnew(c)
	case GetDials:
		c.Respond(Dials{d.underWay()})
	case supervisor.Done[dialResult]:
		d.attempted(c, m.Key.(attemptKey), m.Value, m.Err)
	case attemptLost:
		d.attempted(c, m.key, dialResult{settled: true}, errResultLost)
	case stageTick:
		if d.running[m.race.peer] == m.race {
			d.advance(c, m.race)
		}
	case actors.PeerRefused:
		d.step(c, dial.Refused{Peer: m.Peer, Err: m.Err})
	case actors.PeerConnected:
		d.step(c, dial.Connected{Peer: m.Peer})
	case dueTick:
		d.step(c, dial.Due{})
	case againTick:
		again := d.again[m.peer]
		delete(d.again, m.peer)
		for _, m := range again {
			d.dialPeer(c, m)
		}
	default:
		supervisor.Unhandled(c)
	}
}

func (d *dialer) dialPeer(c actor.Context, m DialPeer) {
	if m.Reply == nil {
		m.Reply = c.Sender()
	}
	err := d.room.needs.Banned(m.Peer) // the connection of a banned peer may not be closed yet
	if ref, ok := d.room.Connections.Get(m.Peer); ok && err == nil {
		d.give(c, m, ref)
		return
	}
	if err == nil {
		err = d.room.undialable(m.Peer)
	}
	if err != nil {
		c.Send(m.Reply, PeerDialed{Token: m.Token, Peer: m.Peer, Err: dialError(m.Peer, err)})
		return
	}
	d.waiting[m.Peer] = append(d.waiting[m.Peer], m)
	d.step(c, dial.Wanted{Peer: m.Peer, Automatic: m.Automatic})
}

// cancelDial takes back one request. The dial ends when no other request for the peer
// is left. If only automatic requests are left, the dial becomes automatic.
func (d *dialer) cancelDial(c actor.Context, m CancelDial) {
	if !d.takeBack(c, d.waiting, m) {
		d.takeBack(c, d.again, m)
		return
	}
	automatic := true
	for _, w := range d.waiting[m.Peer] {
		automatic = automatic && w.Automatic
	}
	switch {
	case len(d.waiting[m.Peer]) == 0:
		d.step(c, dial.Cancelled{Peer: m.Peer})
	case automatic:
		d.step(c, dial.Eased{Peer: m.Peer})
	}
}

// takeBack answers and removes the request that m takes back, and reports whether there
// is one.
func (d *dialer) takeBack(c actor.Context, from map[identity.NodeID][]DialPeer, m CancelDial) bool {
	list := from[m.Peer]
	i := slices.IndexFunc(list, func(w DialPeer) bool {
		return w.Token == m.Token && (m.Reply == nil || w.Reply.Equal(m.Reply))
	})
	if i < 0 {
		return false
	}
	c.Send(list[i].Reply, PeerDialed{Token: m.Token, Peer: m.Peer, Err: dialError(m.Peer, actors.ErrDialCancelled)})
	if list = slices.Delete(list, i, i+1); len(list) == 0 {
		delete(from, m.Peer)
	} else {
		from[m.Peer] = list
	}
	return true
}

// dialled handles the end of a dial.
func (d *dialer) dialled(c actor.Context, r *dialRace, up connections.Upgraded, err error) {
	peer := r.peer
	delete(d.running, peer)
	defer r.cancel()
	by := d.asked[peer]
	delete(d.asked, peer)
	d.room.ended.add(err, r.cancelled(), r.attempts)
	if len(r.attempts) > 0 {
		for i := range r.attempts {
			r.attempts[i].By = by
		}
		if err == nil {
			d.storeOffered(c, &up)
		}
		if seen := r.ended(); len(seen) > 0 {
			c.Send(d.room.Peers, peerbook.SeenPeer{Peer: peer, Attempts: seen})
		}
		d.room.Dials.Add(peer, r.attempts...)
	}
	if err == nil {
		c.Send(d.room.Conns, up) // also if nobody waits any more: both nodes must decide the tie-break alike
	} else if !r.cancelled() {
		supervisor.Publish(c, actors.DialFailed{Peer: peer, Attempts: r.attempts, Err: err})
	}
	if up, ok := errors.AsType[*upgrade.Error](err); ok && errors.Is(err, protocol.ErrViolation) {
		c.Send(d.room.Connectivity, base.PeerViolated{Peer: peer, Key: up.Peer, Err: err})
	}
	d.step(c, dial.Dialled{Peer: peer, Err: err, Class: classOf(err)})
}

// classOf returns what a failed dial means for the next one.
func classOf(err error) dial.Class {
	var up *upgrade.Error
	switch {
	case errors.Is(err, upgrade.ErrRefused):
		return dial.Busy
	case errors.As(err, &up), errors.Is(err, actors.ErrNotAdmitted), errors.Is(err, actors.ErrNoAddress), errors.Is(err, actors.ErrExcluded), inward(err):
		return dial.Final
	}
	return dial.Transient
}

// inward reports whether every attempt failed because the address is a special-purpose
// one, such as a private address. A node dials such an address only if the user has
// given it.
func inward(err error) bool {
	d, ok := errors.AsType[*actors.DialError](err)
	return ok && len(d.Attempts) > 0 && !slices.ContainsFunc(d.Attempts, func(a actors.DialAttempt) bool {
		_, special := errors.AsType[*address.SpecialError](a.Err)
		return !special
	})
}

// askers returns the names of those that wait for a peer, each once.
func (d *dialer) askers(peer identity.NodeID) string {
	var names []string
	for _, m := range d.waiting[peer] {
		name := cmp.Or(m.By, "the API")
		if !slices.Contains(names, name) && len(names) < maxAskers {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// maxAskers limits the names that askers returns.
const maxAskers = 8

// step gives an event to the scheduler and carries out the effects.
func (d *dialer) step(c actor.Context, e dial.Event) {
	for _, effect := range d.plan.Step(supervisor.Now(c), e) {
		switch f := effect.(type) {
		case dial.Attempt:
			d.attempt(c, f.Peer)
		case dial.Cancel:
			if r, ok := d.running[f.Peer]; ok {
				r.cancel()
			}
		case dial.Wake:
			supervisor.At(c, f.At, dueTick{})
		case dial.Settled:
			d.settle(c, f.Peer, f.Err)
		}
	}
}

func (d *dialer) attempt(c actor.Context, peer identity.NodeID) {
	d.offers[peer] = d.room.offerOf(peer)
	p, offered, _ := d.room.record(peer)
	addrs, err := d.room.dialable(p, offered) // checked again: this node may have got more addresses since the request
	if !p.Configured() && !slices.ContainsFunc(d.waiting[peer], func(m DialPeer) bool { return !m.strange() }) {
		for i := range addrs {
			addrs[i].strange = addrs[i].public
		}
	}
	addrs = slices.DeleteFunc(addrs, func(t target) bool { return d.room.transportFor(t.addr) == nil })
	if d.room.Draining.Load() != nil { // it began while the dial waited for its turn
		addrs, err = nil, actors.ErrDraining
	}
	d.asked[peer] = d.askers(peer)
	wanted, cancel := context.WithCancel(context.Background())
	r := &dialRace{
		since: supervisor.Now(c), plan: dial.NewRace(len(addrs)), err: err,
		peer: peer, key: p.Key, addrs: addrs, wanted: wanted, cancel: cancel,
	}
	d.running[peer] = r
	if len(addrs) == 0 { // the scheduler hears of it after this step
		c.Send(c.Self(), stageTick{r})
		return
	}
	d.advance(c, r)
}

const (
	// anewPause is the least time between two times that dials begin again: a dial needs some of it.
	anewPause = 10 * time.Second
	// maxAnew is how often one dial begins again: it has to end, also where networks come and go.
	maxAnew = 2
)

// dialAnew begins each dial under way again, unless a peer has answered. The attempts that it
// ends say nothing about their addresses. Dials through a proxy go on, and so do those that
// strangers have caused.
func (d *dialer) dialAnew(c actor.Context) {
	now := supervisor.Now(c)
	if !d.anew.IsZero() && now.Sub(d.anew) < anewPause {
		return
	}
	d.anew = now
	for _, r := range slices.Collect(maps.Values(d.running)) {
		if r.cancelled() || r.anew >= maxAnew || slices.ContainsFunc(r.addrs, d.room.unaffected) || !r.first.close() {
			continue
		}
		r.cancel()
		d.attempt(c, r.peer)
		next := d.running[r.peer]
		next.since, next.attempts, next.anew = r.since, r.attempts, r.anew+1
	}
}

// unaffected reports whether a dial of the address does not begin again.
func (r *Room) unaffected(t target) bool {
	l, ok := r.transportFor(t.addr).(transport.DialLimiter)
	return t.strange || ok && l.DialLimit(t.addr) > r.Profile.Limits.Dial
}

// underWay returns the dials that have not ended.
func (d *dialer) underWay() []actors.DialUnderWay {
	list := make([]actors.DialUnderWay, 0, len(d.running))
	for peer, r := range d.running {
		list = append(list, actors.DialUnderWay{Peer: peer, Since: r.since, Addr: r.at, By: d.asked[peer]})
	}
	slices.SortFunc(list, func(a, b actors.DialUnderWay) int { return bytes.Compare(a.Peer[:], b.Peer[:]) })
	return list
}

// undialable returns why a peer cannot be dialled at all, or nil if it can.
func (r *Room) undialable(peer identity.NodeID) error {
	if peer == r.Self {
		return actors.ErrSelf
	}
	if r.Draining.Load() != nil {
		return actors.ErrDraining
	}
	p, offered, ok := r.record(peer)
	if !ok || p.Key.IsZero() {
		return actors.ErrUnknownPeer
	}
	if err := r.Listed(p.Key); err != nil {
		return err
	}
	_, err := r.dialable(p, offered)
	return err
}

// Unreachable returns why a request for a peer fails at once: the peer has no
// connection and cannot be dialled. Otherwise it returns nil.
func (r *Room) Unreachable(peer identity.NodeID) error {
	if _, ok := r.Connections.Get(peer); ok {
		return nil
	}
	err := r.undialable(peer)
	if err == nil {
		return nil
	}
	if _, ok := r.Connections.Get(peer); ok { // the connection came meanwhile
		return nil
	}
	return dialError(peer, err)
}

// settle answers all that wait for a peer. If the dial has succeeded but the directory
// has no connection, the new connection may have lost a tie-break, and the survivor is
// about to be announced. Then settle makes each request once more (comms 10.3).
func (d *dialer) settle(c actor.Context, peer identity.NodeID, err error) {
	ref, ok := d.room.Connections.Get(peer) // conns writes it before it publishes PeerConnected
	tried := d.offers[peer] == d.room.offerOf(peer)
	d.offerDialled(c, peer, ok)
	for _, m := range d.waiting[peer] {
		switch {
		case ok && !errors.Is(err, actors.ErrBanned): // also if this node's dial has failed: the peer's connection came first
			d.give(c, m, ref)
		case (err == nil || !tried || errors.Is(err, actors.ErrAimed) && !m.strange()) && !m.again: // an offer, or the user's request, that came during the dial was not tried
			m.again = true
			if d.again[peer] = append(d.again[peer], m); len(d.again[peer]) == 1 {
				c.Send(c.Self(), againTick{peer})
			}
		case err == nil:
			c.Send(m.Reply, PeerDialed{Token: m.Token, Peer: peer, Err: dialError(peer, actors.ErrConnectionClosed)})
		default:
			c.Send(m.Reply, PeerDialed{Token: m.Token, Peer: peer, Err: dialError(peer, err)})
		}
	}
	delete(d.waiting, peer)
}

// give answers a request with a connection.
func (d *dialer) give(c actor.Context, m DialPeer, ref *actors.ConnRef) {
	if !m.Automatic && ref.Link().Live != nil {
		ref.Link().Live.Asked.Store(true)
	}
	c.Send(m.Reply, PeerDialed{Token: m.Token, Peer: m.Peer, Conn: ref})
}

// abandon answers all that wait when this incarnation ends. They may ask again.
func (d *dialer) abandon() {
	for _, list := range []map[identity.NodeID][]DialPeer{d.waiting, d.again} {
		for peer, waiting := range list {
			for _, m := range waiting {
				d.room.System.Root.Send(m.Reply, PeerDialed{Token: m.Token, Peer: peer, Err: actors.ErrDialCancelled})
			}
		}
	}
}

func (d *dialer) String() string {
	if n := len(d.running); n > 0 {
		return fmt.Sprintf("%d dials under way, %d peers wanted", n, len(d.waiting))
	}
	return ""
}

// DialAnew begins the dials under way again, unless a peer has answered: what they have sent may
// have gone out over an address, or into a cable, that is no more.
func (r *Room) DialAnew() { r.System.Root.Send(r.Dialer, dialAnew{}) }
