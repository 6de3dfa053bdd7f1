package dht

import (
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
)

// Limits of what an [Outbound] passes on for others. They keep one peer, however
// slow or busy, from having what is for others dropped.
const (
	// MaxRelayed bounds the bytes that are passed on and have no outcome yet; what
	// comes beyond is dropped. Half of it is for frames above MaxRelayedTo.
	MaxRelayed = 16 << 20
	// MaxRelayedTo bounds those of them that go to one peer, MaxRelayedFrom those
	// that come from one. One frame is taken of any size.
	MaxRelayedTo   = 1 << 20
	MaxRelayedFrom = MaxRelayed / 4
	// RelayLimit is how many messages of others one peer may be sent in any 60 s:
	// half of what takes it for a flood (spec: V28).
	RelayLimit = FloodLimit / 2
)

// relayBudget counts bytes that are passed on and have no outcome yet.
type relayBudget struct {
	small, large int // bytes of frames up to MaxRelayedTo, and of larger ones
	from         map[identity.NodeID]int
}

// part returns the part of the budget that a frame of that size belongs to.
func (b *relayBudget) part(size int) *int {
	if size > MaxRelayedTo {
		return &b.large
	}
	return &b.small
}

func (b *relayBudget) fits(from identity.NodeID, size int) bool {
	all, own := *b.part(size), b.from[from]
	return (all == 0 || all+size <= MaxRelayed/2) && (own == 0 || own+size <= MaxRelayedFrom)
}

func (b *relayBudget) take(from identity.NodeID, size int) {
	*b.part(size) += size
	b.from[from] += size
}

func (b *relayBudget) giveBack(from identity.NodeID, size int) {
	*b.part(size) -= size
	if b.from[from] -= size; b.from[from] == 0 {
		delete(b.from, from)
	}
}

// Relay passes a message on as it came from a peer. It has no report (spec: dht
// 6). What goes beyond the limits is dropped, for one peer or for all.
func (o *Outbound) Relay(now time.Time, from identity.NodeID, e *Envelope, to Strategy) *OutboundEffects {
	o.begin()
	o.due(now)
	o.counts.Relays++
	peers, err := o.o.Selector.Select(to, o.o.View, o.o.Rand)
	if err != nil || len(peers) == 0 {
		o.counts.RelaysNobody++
		return o.effects(now)
	}
	size := len(e.Body) + len(e.Header.Signature) + frameOverhead
	if o.closing || o.relays+len(peers) > MaxCopies/2 || o.copies+len(peers) > MaxCopies || !o.relayed.fits(from, size) {
		o.counts.RelaysDropped++
		return o.effects(now)
	}
	room := peers[:0]
	for _, id := range peers {
		if o.peer(id).mayRelay(now, size, o.o.RelayLimit) {
			room = append(room, id)
		}
	}
	o.counts.RelayCopiesDropped += uint64(len(peers) - len(room))
	if len(room) == 0 {
		o.counts.RelaysDropped++
		return o.effects(now)
	}
	s := newSend(0, Message{To: to}, now.Add(DefaultLimit))
	s.from, s.size = from, size
	o.relayed.take(from, size)
	for _, id := range room {
		o.peers[id].relayed += size
	}
	o.spread(now, s, e.Append(nil), room)
	return o.effects(now)
}

// mayRelay reports whether one more frame of others may go to the peer, and
// counts it.
func (p *outPeer) mayRelay(now time.Time, size, limit int) bool {
	if p.relayed > 0 && p.relayed+size > MaxRelayedTo {
		return false
	}
	if p.rate == nil {
		p.rate = new(perSecond)
	}
	return p.rate.take(now, limit)
}
