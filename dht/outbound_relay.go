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

// Limits of what an [Outbound] passes on for others. How much that is at a time
// is bounded where it comes in: each message holds its source's credit until all
// its copies have ended, and copies hold half of that credit at most (spec: V13).
const (
	// RelayPatience is how long copies for others wait for a peer that makes no
	// progress: nothing given to it is proven, and it takes no bytes.
	RelayPatience = 10 * time.Second
	// relayPatienceNext is how long further copies wait for a peer that has made
	// none for so long. It is enough for a ring of relays to go on that waited for
	// each other, once they have let go of what they held.
	relayPatienceNext = time.Second
	// RelayedTo bounds the bytes for others that wait for one peer, wherever they
	// come from, unless said otherwise. One frame is taken of any size.
	RelayedTo = 16 << 20
	// RelayLimit is how many messages of others one peer may be sent in any 60 s:
	// half of what takes it for a flood (spec: V28).
	RelayLimit = FloodLimit / 2

	// relayFor is how long a copy may take. A place in a peer's pace is free
	// again 60 s after the message that had it is known to have left, which is a
	// moment later than the source has passed on the next one.
	relayFor = DefaultLimit + time.Second
)

// Relayed is a message of somebody else on its way to others.
type Relayed struct {
	From     identity.NodeID // the peer that it came from
	Envelope *wire.Envelope
	Hash     wire.Hash
	To       Strategy
	// Again says that an earlier copy did not reach all: this one goes to those
	// that [Unreached] names, and to others only if it names nobody.
	Again bool
	// Lease is the source's credit, which goes back with
	// [OutboundEffects.Released]. It may be nil.
	Lease Lease
}

// RelayFailure is why a copy of a message for others was not confirmed.
type RelayFailure uint8

const (
	RelayStalled  RelayFailure = iota + 1 // its peer made no progress for [RelayPatience]
	RelayExpired                          // its time was over, most often because of the pace
	RelayLost                             // the messaging session could not prove it
	RelayCrowded                          // too many bytes or copies wait for others
	RelayRate                             // the peer had its [RelayLimit]
	RelayClosed                           // the node is about to end
	RelayPanicked                         // passing it on panicked
	relayFailures
)

var relayFailureTexts = [relayFailures]string{
	RelayStalled: "no progress of the peer for 10 s", RelayExpired: "out of time", RelayLost: "not proven by the connection",
	RelayCrowded: "too many waiting", RelayRate: "too many in a minute", RelayClosed: "closing", RelayPanicked: "panicked",
}

// String returns the failure in words.
func (f RelayFailure) String() string {
	if f > 0 && f < relayFailures {
		return relayFailureTexts[f]
	}
	return fmt.Sprintf("failure %d", uint8(f))
}

// RelayFailures counts copies by why they were not confirmed.
type RelayFailures [relayFailures]uint64

// Total returns how many copies that are.
func (n *RelayFailures) Total() (sum uint64) {
	for _, k := range n {
		sum += k
	}
	return sum
}

// relaying is what a send has that is passed on for somebody else.
type relaying struct {
	hash  wire.Hash
	size  int64
	lease Lease
}

var errNoPlace = errors.New("dht: no place for another copy")

// Relay passes a message on as it came from a peer. It has no report (spec: dht
// 6). Its source's credit is released when every copy has ended. Targets that a
// copy did not reach are in [Unreached] afterwards.
func (o *Outbound) Relay(now time.Time, r Relayed) *OutboundEffects {
	o.begin()
	s := newSend(0, Message{To: r.To}, now.Add(relayFor))
	s.relayed = &relaying{r.Hash, int64(len(r.Envelope.Body)+len(r.Envelope.Header.Signature)) + frameOverhead, r.Lease}
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

// targets selects whom a message goes to.
func (o *Outbound) targets(r *Relayed) ([]identity.NodeID, error) {
	if !r.Again {
		return o.o.Selector.selectRelays(r.To, o.o.View, o.o.Rand)
	}
	missed, anew, ok := o.o.Unreached.Take(r.Hash)
	if anew {
		return o.o.Selector.selectRelays(r.To, o.o.View, o.o.Rand)
	}
	if !ok { // another copy has come before
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

// refuse counts a copy that is not begun.
func (o *Outbound) refuse(s *send, peer identity.NodeID, why RelayFailure) {
	o.counts.RelayCopies++
	o.missed(s, peer, why)
}

// missed counts a copy that has failed, so that a later one of the same message
// goes to the peer.
func (o *Outbound) missed(s *send, peer identity.NodeID, why RelayFailure) {
	o.counts.RelayFailed[why]++
	o.o.Unreached.Missed(s.relayed.hash, peer)
}

// whyFailed is the failure that an outcome stands for.
func (o *Outbound) whyFailed(outcome protocol.Outcome) RelayFailure {
	switch {
	case outcome.Reason == protocol.Expired:
		return RelayExpired
	case outcome.Reason == protocol.Closed && o.closing:
		return RelayClosed
	}
	return RelayLost
}

// mayRelay says why no more of others may go to the peer, or counts one more.
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

// progress notes that the peer's session has done something.
func (p *outPeer) progress(now time.Time) { p.since, p.stalled = now, false }

// watch has the peer looked at when copies of others may have waited for too long.
func (o *Outbound) watch(p *outPeer) {
	if p.openRelays > 0 && p.given.n > 0 {
		o.wakePeer(p, p.since.Add(p.patience()))
	}
}

// patience is how long copies for others may wait without progress of the peer.
func (p *outPeer) patience() time.Duration {
	if p.stalled {
		return relayPatienceNext
	}
	return RelayPatience
}

// look fails the copies of others for a peer that makes no progress. What waits
// for the pace is not without progress: nothing is given to the peer then.
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
		if !c.send.taken {
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
	Begun                                         bool // else Relay itself has panicked
	Progress, Withdraw, Write, Discover, Released int
}

// Mend makes good what a panic has left undone, in Relay or while its effects
// were carried out: the message that was passed on fails, and so do the copies
// for others that no session has got; those of our own are tried again. It
// returns the effects that are left, without the one that panicked.
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
		c.peer.back(now, c, inWrite && i == 0) // which may have got through
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
			o.o.Unreached.Anew(s.relayed.hash)
			o.end(s, 0, errNoPlace)
		}
	}
	return o.effects(now)
}

// leave drops the first effects of a list, one more if that has panicked.
func leave[T any](list []T, carried int, panicked bool) ([]T, bool) {
	if panicked && carried < len(list) {
		return slices.Delete(list, 0, carried+1), false
	}
	return slices.Delete(list, 0, carried), panicked
}

// Abandon ends what is passed on for others: the machine is not used any more. It
// returns the credit of all that was under way, or had just ended.
func (o *Outbound) Abandon() (leases []Lease) {
	for s := range o.relaying {
		for _, c := range s.copies {
			if c.state != copySettled {
				o.o.Unreached.Missed(s.relayed.hash, c.peer.id)
			}
		}
		if s.relayed.lease != nil {
			leases = append(leases, s.relayed.lease)
		}
	}
	clear(o.relaying)
	leases = append(leases, o.fx.Released...) // of effects that were not carried out whole
	o.fx.Released = nil
	return leases
}
