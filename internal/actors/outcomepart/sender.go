package outcomepart

import (
	"errors"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/actors/messengers"
	"github.com/gamelan-p2p/gamelan/internal/actors/users"
	"github.com/gamelan-p2p/gamelan/internal/backoff"
	"github.com/gamelan-p2p/gamelan/internal/credit"
	"github.com/gamelan-p2p/gamelan/internal/protocol/outcomes"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// sender is the part's actor: it has messages written, hears what became of them, and tells peers what
// became of theirs.
//
// In: send, withdraw, Sent, heard, PeerConnected, PeerDisconnected, Drain, and of receiving: told and
// violated. Out: messages of Plain, Outcomes and Answers, PeerViolated, Drained. A restart ends the
// messages under way as in doubt, unless they were never written; what this node has received stays.
type sender struct {
	o        *Outcomes
	self     *self
	peers    map[identity.NodeID]*peer
	sends    map[uint64]*send // by serial
	answers  map[uint64]identity.NodeID
	owed     map[identity.NodeID]*owed
	stops    bool
	draining *actor.PID // waits for Drained; nil: nobody
}

// peer is a peer that this node sends to.
type peer struct {
	id      identity.NodeID
	machine *outcomes.Sender[*send]
	full    []*send // behind the window of machine, in order
	conn    uint64  // the last connection
	ended   int     // how many connections have ended
	fails   int     // times in a row that messages were written again, and none was read
	retry   *supervisor.Timer
	retryAt time.Time
	asks    bool // an ask is due
	refuses bool // a refusedTick is due
	idle    bool // nothing was sent since the last sweep
}

// send is a message, from Submit to its outcome. It is a message of the actor as well.
type send struct {
	Submission
	o        *Outcomes
	serial   uint64
	giveBack func()
	done     func(protocol.Outcome)
	over     atomic.Bool // settled
	until    *supervisor.Timer

	to     *peer
	number uint64
	ended  int              // of to, when it was written
	dials  bool             // there was no connection when it was written
	greets bool             // it was written as a greeting
	probes bool             // it is too long with its id, and was written as a greeting to learn whether the peer knows of ids
	last   protocol.Outcome // of the last write
}

// Discard ends a message that the actor has not taken.
func (s *send) Discard() {
	s.settle(protocol.Outcome{Kind: protocol.Failed, Reason: protocol.Closed, Err: actors.ErrClosing})
}

// settle ends the message, once.
func (s *send) settle(o protocol.Outcome) {
	if s.over.CompareAndSwap(false, true) {
		s.o.sending.Add(-1)
		s.giveBack()
		s.o.trunk.Ended(s.Peer, o)
		s.done(o)
	}
}

type (
	withdraw struct{ serial uint64 }
	// expired ends a message that has waited for its peer as long as it may.
	expired struct{ serial uint64 }
	// again has what waits for a peer written again.
	again struct{ to *peer }
	// askTick has a peer asked for what became of messages that it has read.
	askTick struct{ to *peer }
	// refusedTick has messages written again that nobody took.
	refusedTick struct{ to *peer }
	// forgetOwed ends the waiting for a peer that is owed answers.
	forgetOwed struct{ id identity.NodeID }
	// sweep forgets peers that nothing was sent to for a while.
	sweep struct{}
)

const (
	// The pause before messages are written again, doubled each time.
	againFirst = 100 * time.Millisecond
	againMost  = 10 * time.Second
	// againSoon bounds the pause when a message comes that does not wait for the peer.
	againSoon = 250 * time.Millisecond
	// askAfter is when the peer is asked for messages that it has read.
	askAfter = 30 * time.Second
	// refusedAfter is the pause before a message is written again that nobody took.
	refusedAfter = 2 * time.Second
	// forgetAfter is about how long a peer is remembered to which nothing is sent: its numbers go on.
	forgetAfter = time.Hour
)

func newSender(o *Outcomes) *sender {
	return &sender{
		o: o, self: newSelf(o), peers: make(map[identity.NodeID]*peer), sends: make(map[uint64]*send),
		answers: make(map[uint64]identity.NodeID), owed: make(map[identity.NodeID]*owed),
	}
}

func (a *sender) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		a.start(c)
	case *send:
		a.submit(c, m)
	case actors.Sent:
		a.sent(c, m)
	case heard:
		a.heard(c, m)
	case withdraw:
		a.withdraw(c, m.serial, protocol.Outcome{Reason: protocol.Expired, Err: a.late(m.serial, nil)})
	case expired:
		if s := a.sends[m.serial]; s != nil {
			a.withdraw(c, m.serial, protocol.Outcome{Reason: protocol.Expired, Err: a.late(m.serial, s.last.Err)})
		}
	case again:
		m.to.retry = nil
		m.to.fails++
		a.write(c, m.to.machine.WriteAgain())
	case refusedTick:
		m.to.refuses = false
		if m.to.conn != 0 { // otherwise it is written with those that wait for the peer
			a.write(c, m.to.machine.WriteAgain())
		}
		a.goOn(c, m.to)
	case askTick:
		a.ask(c, m.to)
	case sweep:
		a.sweep(c)
	case forgetOwed:
		a.forgetOwed(c, m.id)
	case actors.PeerConnected:
		a.connected(c, m.Peer, m.Conn.ID)
		if w := a.owed[m.Peer]; w != nil {
			a.answer(c, m.Peer, w)
		}
	case actors.PeerDisconnected:
		if p := a.peers[m.Peer]; p != nil && p.conn == m.Conn.ID {
			a.cut(c, p)
		}
	case users.ProtocolAdded:
		if m.Err != nil {
			supervisor.Log(c).Error("peers cannot tell what became of messages", "err", m.Err)
		}
	case supervisor.Drain:
		a.stops, a.draining = true, c.Sender()
		for _, p := range a.peers {
			a.discardFull(p)
			a.end(p.machine.EndWaiting(protocol.Closed, actors.ErrClosing))
		}
		a.finish(c)
	default:
		if !a.receive(c) {
			supervisor.Unhandled(c)
		}
	}
}

func (a *sender) start(c actor.Context) {
	supervisor.OwnFunc(c, a.abandon)
	supervisor.Subscribe[actors.PeerConnected](c)
	supervisor.Subscribe[actors.PeerDisconnected](c)
	answers := a.o.trunk.Answers()
	c.Request(a.o.trunk.Services(), users.AddProtocol{ID: answers.ID, PID: answers.PID, Own: true, Later: true})
	a.tell(c) // what an earlier incarnation has not told
	supervisor.After(c, forgetAfter, sweep{})
}

// abandon ends all messages with the actor.
func (a *sender) abandon() {
	for _, p := range a.peers {
		a.end(p.machine.Close(protocol.Closed, actors.ErrClosing))
		a.discardFull(p)
	}
}

// discardFull ends the messages behind the window of a peer.
func (a *sender) discardFull(p *peer) {
	for _, s := range p.full {
		a.settle(s, protocol.Outcome{Kind: protocol.Failed, Reason: protocol.Closed, Err: actors.ErrClosing})
	}
	p.full = nil
}

func (a *sender) peer(c actor.Context, id identity.NodeID) *peer {
	p := a.peers[id]
	if p == nil {
		p = &peer{id: id, machine: outcomes.NewSender[*send](outcomes.Epoch(supervisor.Rand(c).Uint64()))}
		if id == a.self.on.Peer {
			p.conn = a.self.on.ID
		} else if ref, ok := a.o.trunk.Connection(id); ok {
			p.conn = ref.ID
		}
		a.peers[id] = p
	}
	p.idle = false
	return p
}

func (a *sender) submit(c actor.Context, s *send) {
	if a.stops {
		s.Discard()
		return
	}
	s.to = a.peer(c, s.Peer)
	a.sends[s.serial] = s
	if s.Until > 0 {
		s.until = supervisor.After(c, s.Until, expired{s.serial})
	}
	if s.to.machine.Full() || len(s.to.full) > 0 {
		s.to.full = append(s.to.full, s)
		return
	}
	a.begin(c, s)
}

// begin gives a message to the machine of its peer.
func (a *sender) begin(c actor.Context, s *send) {
	var now []outcomes.Write[*send]
	s.number, now = s.to.machine.Submit(outcomes.Submission[*send]{Want: s.Want, Until: s.Until > 0, Once: s.Once, Topic: s.Topic, Tag: s})
	a.write(c, now)
	if len(now) == 0 && s.Until == 0 && s.to.fails > 1 {
		a.schedule(c, s.to, againSoon)
	}
}

func (a *sender) write(c actor.Context, all []outcomes.Write[*send]) {
	for _, w := range all {
		s := w.Tag
		s.ended, s.dials, s.greets = s.to.ended, s.to.conn == 0, w.Greets
		if s.Once {
			a.o.trunk.Plain().SendLent(c, messengers.SendBody{ID: s.serial, Peer: s.Peer, Body: s.Body, Resend: s.Resend})
			continue
		}
		var frame []byte
		s.probes = s.Resend && s.Peer != a.self.on.Peer && len(s.Body) > a.o.mostBody()
		if w.Greets || s.probes {
			frame = outcomes.AppendAsk(nil, outcomes.Ask{Epoch: w.Epoch})
		} else {
			frame = outcomes.AppendMessage(make([]byte, 0, outcomes.MaxHead+len(s.Body)), &w.Message)
			frame = append(frame, s.Body...)
		}
		if s.Peer == a.self.on.Peer {
			a.loop(c, w, frame)
			continue
		}
		a.o.trunk.Outcomes().SendLent(c, messengers.SendBody{ID: s.serial, Peer: s.Peer, Body: frame})
	}
}

// sent takes the outcome of a write.
func (a *sender) sent(c actor.Context, m actors.Sent) {
	s := a.sends[m.ID]
	if s == nil {
		a.answered(c, m)
		return
	}
	p, o := s.to, m.Outcome
	stale := s.ended != p.ended
	if s.Resend && !s.Once && errors.Is(o.Err, messengers.ErrForeign) {
		s.Once, s.probes = true, false
		p.machine.Plainly(s.number)
		a.o.trunk.Plain().SendLent(c, messengers.SendBody{ID: s.serial, Peer: s.Peer, Body: s.Body, Resend: true})
		return
	}
	switch {
	case s.probes && o.Kind == protocol.Confirmed:
		o = a.o.tooLong()
	case s.probes:
		o.Kind = protocol.Failed // it was not written itself
	}
	switch {
	case o.Kind == protocol.Confirmed && stale && s.Want > outcomes.Read:
		// Perhaps it was read on the connection that has ended. Then no answer comes.
		o = protocol.Outcome{Kind: protocol.InDoubt, Reason: protocol.ConnectionLost}
	case o.Kind == protocol.Confirmed && s.Want == outcomes.Read:
		p.fails = 0
	case o.Kind == protocol.Confirmed: // until an answer has come, the peer may read and do nothing
	default:
		s.last = o
	}
	a.end(p.machine.Outcome(s.number, o, final(o)))
	// Those behind a stale one have waited for that. One that failed to dial may have done so before the
	// connection that there is now, and the hello may come before its greeting counts as read: what
	// is being written then is not written again by them.
	if p.conn != 0 && (stale || s.dials && o.Kind != protocol.Confirmed || s.greets && p.machine.Line() != 0) {
		a.writeWaiting(c, p)
	}
	a.goOn(c, p)
	if s.Want > outcomes.Read && !p.asks {
		p.asks = true
		supervisor.After(c, askAfter, askTick{p})
	}
}

// final reports whether a message fails though it waits for its peer: nothing changes by waiting.
func final(o protocol.Outcome) bool {
	switch o.Reason {
	case protocol.NoPeer, protocol.Banned, protocol.NotAdmitted, protocol.TooLong:
		return true
	}
	return errors.Is(o.Err, messengers.ErrForeign) || errors.Is(o.Err, actors.ErrClosing)
}

// end ends messages.
func (a *sender) end(all []outcomes.Ended[*send]) {
	for _, e := range all {
		a.settle(e.Tag, e.Outcome)
	}
}

func (a *sender) settle(s *send, o protocol.Outcome) {
	delete(a.sends, s.serial)
	if s.until != nil {
		s.until.Stop()
	}
	s.settle(o)
}

// goOn goes on after messages have ended, or have begun to wait.
func (a *sender) goOn(c actor.Context, p *peer) {
	for len(p.full) > 0 && !p.machine.Full() {
		s := p.full[0]
		p.full = slices.Delete(p.full, 0, 1)
		a.begin(c, s)
	}
	if a.stops {
		a.end(p.machine.EndWaiting(protocol.Closed, actors.ErrClosing))
	}
	if p.machine.Waiting() {
		a.schedule(c, p, backoff.Doubled(p.fails, againFirst, againMost))
	}
	if p.machine.Refuses() && !p.refuses {
		p.refuses = true
		supervisor.After(c, refusedAfter, refusedTick{p})
	}
	a.finish(c)
}

// schedule has what waits written again after d, or sooner.
func (a *sender) schedule(c actor.Context, p *peer, d time.Duration) {
	if p.fails == 0 {
		d = 0
	}
	at := supervisor.Now(c).Add(d)
	if p.retry != nil {
		if !at.Before(p.retryAt) {
			return
		}
		p.retry.Stop()
	}
	p.retry, p.retryAt = supervisor.After(c, d, again{p}), at
}

// connected has what waits for a peer written again.
func (a *sender) connected(c actor.Context, id identity.NodeID, conn uint64) {
	p := a.peers[id]
	if p == nil || p.conn == conn {
		return
	}
	if p.conn != 0 {
		a.cut(c, p) // the one before has lost a tie-break
	}
	p.conn = conn
	a.writeWaiting(c, p)
}

// writeWaiting writes what waits for a peer that is there now.
func (a *sender) writeWaiting(c actor.Context, p *peer) {
	if !p.machine.Waiting() {
		return
	}
	if p.retry != nil {
		p.retry.Stop()
		p.retry = nil
	}
	a.write(c, p.machine.WriteAgain())
}

// cut notes that a connection has ended.
func (a *sender) cut(c actor.Context, p *peer) {
	p.conn = 0
	p.ended++
	p.machine.Disconnected()
	a.goOn(c, p)
}

// late returns why a message has no outcome in time, as far as the peer has said it, and else err.
func (a *sender) late(serial uint64, err error) error {
	s := a.sends[serial]
	switch {
	case s == nil || s.to == nil:
		return err
	case s.to.machine.Refused(s.number):
		return ErrNoHandler
	case s.to.machine.WasRead(s.number) && s.Want == outcomes.Kept:
		return errNotKeptYet
	case s.to.machine.WasRead(s.number):
		return errNotHandledYet
	}
	return err
}

// withdraw ends a message for which nobody waits.
func (a *sender) withdraw(c actor.Context, serial uint64, o protocol.Outcome) {
	s := a.sends[serial]
	if s == nil {
		return
	}
	if i := slices.Index(s.to.full, s); i >= 0 {
		s.to.full = slices.Delete(s.to.full, i, i+1)
		o.Kind = protocol.Failed
		a.settle(s, o)
		return
	}
	a.end(s.to.machine.Withdraw(s.number, o.Reason, o.Err))
	if a.sends[serial] != nil { // it is being written
		a.o.trunk.Outcomes().Withdraw(s.Peer, serial)
		if s.Once {
			a.o.trunk.Plain().Withdraw(s.Peer, serial)
		}
	}
	a.goOn(c, s.to)
}

// ask asks a peer what became of messages that it has read on this connection.
func (a *sender) ask(c actor.Context, p *peer) {
	of, unanswered := p.machine.Unanswered()
	if p.asks = unanswered; !unanswered {
		return
	}
	frame := outcomes.AppendAsk(nil, outcomes.Ask{Epoch: p.machine.Epoch(), Line: p.machine.Line(), Of: of})
	a.o.trunk.Outcomes().SendLent(c, messengers.SendBody{ID: a.o.trunk.NewID(), Peer: p.id, Body: frame})
	supervisor.After(c, askAfter, askTick{p})
}

// sweep forgets peers. Their numbers begin again, in a new epoch.
func (a *sender) sweep(c actor.Context) {
	maps.DeleteFunc(a.peers, func(_ identity.NodeID, p *peer) bool {
		forget := p.idle && p.machine.Len() == 0 && len(p.full) == 0
		p.idle = true
		return forget
	})
	a.o.books.sweep()
	supervisor.After(c, forgetAfter, sweep{})
}

// finish answers Drain when all messages have ended.
func (a *sender) finish(c actor.Context) {
	if a.draining == nil || len(a.sends) > 0 {
		return
	}
	c.Send(a.draining, supervisor.Drained{From: c.Self()})
	a.draining = nil
}

// heard is an answer of a peer.
type heard struct {
	on    *actors.ConnRef
	hello *outcomes.Hello
	parts []outcomes.Part
	*credit.Permit
}

// Source makes a panic on this message count against the peer.
func (m heard) Source() supervisor.Source { return actors.Origin{Peer: m.on.Peer, Conn: m.on.ID} }

func (a *sender) heard(c actor.Context, m heard) {
	p := a.peers[m.on.Peer]
	if p == nil {
		return
	}
	if ref, ok := a.o.trunk.Connection(p.id); ok && ref.ID == m.on.ID {
		a.connected(c, p.id, ref.ID) // unless that is known
	}
	if h := m.hello; h != nil && p.conn == m.on.ID {
		if p.machine.Hear(*h) {
			p.ended++
		}
		a.writeWaiting(c, p)
	}
	for _, part := range m.parts {
		all := p.machine.Answer(part)
		for i := range all {
			all[i].Outcome.Err = reasons[part.Result]
			p.fails = 0
		}
		a.end(all)
	}
	a.goOn(c, p)
}

// reasons are the errors of results.
var reasons = map[outcomes.Result]error{
	outcomes.NoInbox: ErrNotKept, outcomes.NoHandler: ErrNoHandler,
	outcomes.IsDropped: ErrDropped, outcomes.IsUnknown: ErrForgotten,
}

func (a *sender) String() string {
	n := 0
	for _, p := range a.peers {
		if p.machine.Len() > 0 {
			n++
		}
	}
	text := inspect.Count(uint64(len(a.sends)), "message") + " under way"
	if n > 0 {
		text += " to " + inspect.Count(uint64(n), "peer")
	}
	return text
}

// receive handles what receiving has for the actor.
func (a *sender) receive(c actor.Context) bool {
	switch m := c.Message().(type) {
	case told:
		a.tell(c)
	case violated:
		c.Send(a.o.trunk.Connectivity(), base.Violated(m.on, m.err))
	case actors.Received: // its handler has gone
		m.Refuse()
	default:
		return false
	}
	return true
}

// mostShown is of how many peers the actor's detail tells.
const mostShown = 100

// underWay are the messages to a peer that have no outcome.
type underWay struct {
	Peer    string `json:"peer"`
	Open    int    `json:"open"`
	Read    int    `json:"read"`    // it has read them, and has not said what became of them
	Refused int    `json:"refused"` // nobody there took them; they are written again
}

// Inspect returns what is under way to the first peers, in the order of their ids.
func (a *sender) Inspect() any {
	all := make([]underWay, 0, min(len(a.peers), mostShown))
	for _, id := range slices.SortedFunc(maps.Keys(a.peers), identity.NodeID.Compare) {
		if p := a.peers[id]; len(all) < mostShown && p.machine.Len() > 0 {
			x := underWay{Peer: id.String(), Open: p.machine.Len() + len(p.full)}
			x.Read, x.Refused = p.machine.Reads()
			all = append(all, x)
		}
	}
	return all
}
