package dht

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Limits of the messages that an [Outbound] relays. Their memory is bounded by the
// credit of their source: a message holds credit until all its copies have ended, and
// relayed messages hold at most half of the credit (spec: V13).
const (
	// RelayPatience is how long relayed copies wait for a peer without progress: it
	// proves no copy and takes no bytes.
	RelayPatience = 10 * time.Second
	// relayPatienceNext is how long further copies wait for such a peer. It is long
	// enough for a ring of relays that waited for each other to go on after they
	// have dropped the copies that they held.
	relayPatienceNext = time.Second
	// RelayedTo is the default limit of relayed bytes that wait for one peer, from
	// all sources. One frame of any size is allowed.
	RelayedTo = 16 << 20
	// RelayLimit is the default limit of messages relayed to one peer in any 60 s:
	// half of the number that peers take for a flood (spec: V28).
	RelayLimit = FloodLimit / 2

	// relayFor is how long a copy may take. It is a second more than the stretch
	// after which a message no longer counts against a peer's pace, because that
	// stretch begins only when the message is known to have left.
	relayFor = DefaultLimit + time.Second
)

// Relayed is a message of somebody else that is to be relayed.
type Relayed struct {
	From     identity.NodeID // the peer that sent it to us
	Envelope *wire.Envelope
	Hash     wire.Hash
	To       Strategy
	// Again says that an earlier copy did not reach all its peers: this copy goes to
	// the missed peers of [Unreached], or to newly selected peers if the earlier
	// copy was sent to nobody.
	Again bool
	// Credit is what the message holds of its source's, which
	// [OutboundEffects].Released gives back. It may be nil.
	Credit Credit
}

// RelayFailure is the reason for which a relayed copy was not confirmed.
type RelayFailure uint8

const (
	RelayStalled  RelayFailure = iota + 1 // its peer made no progress for [RelayPatience]
	RelayExpired                          // its time was up, most often because of the pace
	RelayLost                             // the messaging session could not prove it
	RelayCrowded                          // too many relayed bytes or copies wait
	RelayRate                             // the peer got [RelayLimit] messages in 60 s
	RelayClosed                           // the node is closing
	RelayPanicked                         // relaying it panicked
	relayFailures
)

var relayFailureTexts = [relayFailures]string{
	RelayStalled: "no progress of the peer for 10 s", RelayExpired: "expired", RelayLost: "unconfirmed by the connection",
	RelayCrowded: "too many waiting", RelayRate: "over the rate limit", RelayClosed: "closing", RelayPanicked: "panicked",
}

// String returns the failure in words.
func (f RelayFailure) String() string {
	if f > 0 && f < relayFailures {
		return relayFailureTexts[f]
	}
	return fmt.Sprintf("failure %d", uint8(f))
}

// RelayFailures counts unconfirmed copies by [RelayFailure].
type RelayFailures [relayFailures]uint64

// Total returns how many copies that are.
func (n *RelayFailures) Total() (sum uint64) {
	for _, k := range n {
		sum += k
	}
	return sum
}

// relaying is the part of a send that only relayed messages have.
type relaying struct {
	hash        wire.Hash
	destination identity.NodeID // zero if the message is for nobody in particular, or of the DHT itself
	size        int64
	credit      Credit
}

var errNoPlace = errors.New("dht: no room for another copy")

// Relay passes a message on unchanged (spec: dht 6). It has no report. The source's
// credit is released when every copy has ended. Afterwards [Unreached] names the peers
// that no copy reached.
func (o *Outbound) Relay(now time.Time, r Relayed) *OutboundEffects {
	o.begin()
	s := newSend(0, Message{To: r.To}, now.Add(relayFor))
	h := &r.Envelope.Header
	s.relayed = &relaying{hash: r.Hash, size: int64(len(r.Envelope.Body)+len(h.Signature)) + frameOverhead, credit: r.Credit}
	if h.Type == wire.TypeDomain && h.Destination.Known {
		s.relayed.destination = h.Destination.Key.NodeID()
	}
	o.passing = s
	o.due(now)
	o.pass(now, s, &r)
	o.passing = nil
	return o.effects(now)
}

func (o *Outbound) pass(now time.Time, s *send, r *Relayed) {
	o.counts.Relays++
	peers, err := o.targets(r)
	if err != nil || len(peers) == 0 {
		o.counts.RelaysNobody++
		o.end(s, 0, nil)
		return
	}
	if o.closing || o.relays+len(peers) > MaxCopies/2 || o.copies+len(peers) > MaxCopies {
		o.counts.RelaysDropped++
		why := RelayCrowded
		if o.closing {
			why = RelayClosed
		}
		for _, id := range peers {
			o.refuse(s, id, why)
		}
		o.end(s, 0, errNoPlace)
		return
	}
	frame := r.Envelope.Append(nil)
	room := peers[:0]
	for _, id := range peers {
		if why := o.peer(id).mayRelay(now, s.relayed.size, &o.o); why != 0 {
			o.refuse(s, id, why)
			continue
		}
		room = append(room, id)
	}
	if len(room) == 0 {
		o.counts.RelaysDropped++
		o.end(s, 0, errNoPlace)
		return
	}
	for _, id := range room {
		p := o.peers[id]
		p.relayed += s.relayed.size
		p.openRelays++
	}
	o.spread(now, s, frame, room)
}

// targets returns the peers that a message is relayed to.
func (o *Outbound) targets(r *Relayed) ([]identity.NodeID, error) {
	if !r.Again {
		return o.o.Selector.selectRelays(r.To, o.o.View, o.o.Rand)
	}
	missed, reselect, ok := o.o.Unreached.Take(r.Hash)
	if reselect {
		return o.o.Selector.selectRelays(r.To, o.o.View, o.o.Rand)
	}
	if !ok { // another copy has taken the missed peers before
		return nil, nil
	}
	there := make(map[identity.NodeID]bool)
	for _, c := range o.o.View.Connected() {
		there[c.ID] = !c.NoDHT
	}
	var connected []identity.NodeID
	for _, id := range missed {
		switch {
		case id == r.From: // it has the message
		case there[id]:
			connected = append(connected, id)
		default:
			o.o.Unreached.Missed(r.Hash, id)
		}
	}
	return connected, nil
}

// refuse counts a copy that is refused at once.
func (o *Outbound) refuse(s *send, peer identity.NodeID, why RelayFailure) {
	o.counts.RelayCopies++
	o.missed(s, peer, why)
}

// missed counts a failed copy, and remembers its peer for a later copy of the message.
func (o *Outbound) missed(s *send, peer identity.NodeID, why RelayFailure) {
	o.counts.RelayFailed[why]++
	o.o.Unreached.Missed(s.relayed.hash, peer)
}

// whyFailed returns the failure that an outcome stands for.
func (o *Outbound) whyFailed(outcome protocol.Outcome) RelayFailure {
	switch {
	case outcome.Reason == protocol.Expired:
		return RelayExpired
	case outcome.Reason == protocol.Closed && o.closing:
		return RelayClosed
	}
	return RelayLost
}

// mayRelay counts one more message relayed to the peer and returns 0, or returns why
// the peer may get none.
func (p *outPeer) mayRelay(now time.Time, size int64, o *OutboundOptions) RelayFailure {
	if p.relayed > 0 && p.relayed+size > o.RelayedTo {
		return RelayCrowded
	}
	if p.rate == nil {
		p.rate = new(perSecond)
	}
	if !p.rate.take(now, o.RelayLimit) {
		return RelayRate
	}
	if p.stalled && p.openRelays == 0 {
		p.since = now
	}
	return 0
}

// progress notes that the peer's session has made progress.
func (p *outPeer) progress(now time.Time) { p.since, p.stalled = now, false }

// watch sets the timer that checks whether relayed copies wait too long for the peer.
func (o *Outbound) watch(p *outPeer) {
	if p.openRelays > 0 && p.given.n > 0 {
		o.wakePeer(p, p.since.Add(p.patience()))
	}
}

// patience returns how long relayed copies may wait without progress of the peer.
func (p *outPeer) patience() time.Duration {
	if p.stalled {
		return relayPatienceNext
	}
	return RelayPatience
}

// look fails the relayed copies for a peer that makes no progress. It does nothing
// while the session has no copies, as when all wait for the pace.
func (o *Outbound) look(now time.Time, p *outPeer) {
	if p.openRelays == 0 || p.given.n == 0 || now.Sub(p.since) < p.patience() {
		return
	}
	if o.o.Moved != nil {
		if moved := o.o.Moved(p.id); moved.After(p.since) {
			if p.since = moved; now.Sub(p.since) < p.patience() {
				return
			}
		}
	}
	p.stalled = true
	var given []*copyOut
	for _, c := range o.given {
		if c.peer == p && c.send.relay() && c.state == copyGiven {
			given = append(given, c)
		}
	}
	slices.SortFunc(given, func(a, b *copyOut) int { return cmp.Compare(a.id, b.id) })
	for _, c := range given {
		if !c.send.withdrawn {
			o.fx.Withdraw = append(o.fx.Withdraw, Write{ID: c.id, Peer: p.id})
		}
	}
	for _, c := range append(given, slices.Clone(p.relays.list)...) {
		if c.state != copySettled {
			c.why = RelayStalled
			o.settle(c, protocol.Outcome{Kind: protocol.Failed, Reason: protocol.Expired})
		}
	}
}

// Carried counts the effects that were carried out before one of them panicked.
type Carried struct {
	Begun                                         bool // false: Relay itself has panicked
	Progress, Withdraw, Write, Discover, Released int
}

// Mend repairs the state after a panic in Relay or while its effects were carried out.
// The message that was relayed fails, and so do relayed copies that no session has got;
// our own copies are tried again. Mend returns the remaining effects, without the one
// that panicked.
func (o *Outbound) Mend(now time.Time, carried Carried) *OutboundEffects {
	fx := &o.fx
	lost := slices.Clone(fx.Write[carried.Write:])
	panicked := carried.Begun
	fx.Progress, panicked = leave(fx.Progress, carried.Progress, panicked)
	fx.Withdraw, panicked = leave(fx.Withdraw, carried.Withdraw, panicked)
	inWrite := panicked && len(lost) > 0
	fx.Write, panicked = fx.Write[:0], panicked && !inWrite
	fx.Discover, panicked = leave(fx.Discover, carried.Discover, panicked)
	fx.Released, _ = leave(fx.Released, carried.Released, panicked)
	for i, w := range lost {
		c, ok := o.given[w.ID]
		if !ok {
			continue
		}
		delete(o.given, w.ID)
		c.peer.back(now, c, inWrite && i == 0) // the first may have been written
		switch {
		case c.state == copySettled:
		case c.send.relay():
			c.why = RelayPanicked
			o.settle(c, protocol.Outcome{Kind: protocol.Failed, Reason: protocol.Closed})
		default:
			c.peer.notBefore = now.Add(retryAfter)
			c.peer.push(c)
		}
		o.wakePeer(c.peer, now.Add(retryAfter))
	}
	if s := o.passing; s != nil {
		o.passing = nil
		for _, c := range s.copies {
			if c != nil && c.state != copySettled && c.state != copyGiven {
				c.why = RelayPanicked
				o.settle(c, protocol.Outcome{Kind: protocol.Failed, Reason: protocol.Closed})
			}
		}
		if s.copies == nil && !s.ended {
			o.o.Unreached.Reselect(s.relayed.hash)
			o.end(s, 0, errNoPlace)
		}
	}
	return o.effects(now)
}

// leave removes the effects that were carried out from a list, and the next one if
// that has panicked.
func leave[T any](list []T, carried int, panicked bool) ([]T, bool) {
	if panicked && carried < len(list) {
		return slices.Delete(list, 0, carried+1), false
	}
	return slices.Delete(list, 0, carried), panicked
}

// Abandon ends the relayed messages of a machine that is no longer used. It returns
// their credit, and credit that [OutboundEffects].Released still held.
func (o *Outbound) Abandon() (credits []Credit) {
	for s := range o.relaying {
		for _, c := range s.copies {
			if c.state != copySettled {
				o.o.Unreached.Missed(s.relayed.hash, c.peer.id)
			}
		}
		if s.relayed.credit != nil {
			credits = append(credits, s.relayed.credit)
		}
	}
	clear(o.relaying)
	credits = append(credits, o.fx.Released...) // of effects that were not carried out completely
	o.fx.Released = nil
	return credits
}
