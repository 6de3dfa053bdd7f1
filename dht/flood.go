package dht

import (
	"container/list"
	"errors"
	"fmt"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// FloodLimit is how many messages that no handler here took a peer may send in
// any 60 s unless said otherwise (spec: V28).
const FloodLimit = 60_000

// What is remembered of peers. It is worth 300 bytes for each, and forgotten
// when a peer has sent nothing that counts for 60 s.
const (
	floodSeconds = 60
	floodPeers   = 4096
)

// ErrFlood reports a peer that sends more messages than are welcome.
var ErrFlood = errors.New("dht: flood")

// FloodMeter counts, for each peer, the messages that no handler here took, and says
// which peer has sent too many. It counts by whole seconds: a peer is never over
// the limit that has kept to it in each 60 s, and one that exceeds it by what
// fits into a second may be found a second later (spec: dht 10.3, V28).
type FloodMeter struct {
	limit int
	peers map[identity.NodeID]*list.Element
	order list.List // of *flow, those heard of last in front
	begin time.Time
}

// flow is what one peer has sent.
type flow struct {
	peer      identity.NodeID
	perSecond // in seconds since FloodMeter.begin
}

// NewFloodMeter returns a meter with that limit; 0 is [FloodLimit].
func NewFloodMeter(limit int) *FloodMeter {
	if limit <= 0 {
		limit = FloodLimit
	}
	return &FloodMeter{limit: limit, peers: make(map[identity.NodeID]*list.Element)}
}

// Count counts one message of the peer. It returns the offence when this is the
// one that goes over the limit, and nil for those after it: there is one offence
// until the peer has been within the limit again.
func (f *FloodMeter) Count(now time.Time, peer identity.NodeID) *protocol.Violation {
	if f.begin.IsZero() {
		f.begin = now
	}
	second := int64(now.Sub(f.begin) / time.Second)
	p := f.flow(peer, second)
	p.add()
	if p.sum != f.limit+1 {
		return nil
	}
	return protocol.Violated("dht", protocol.BanMedium,
		fmt.Errorf("%w: more than %d messages in %d s that nobody here took", ErrFlood, f.limit, floodSeconds))
}

// Len returns how many peers are remembered.
func (f *FloodMeter) Len() int { return len(f.peers) }

// flow returns what the peer has sent in the 60 s that end with that second.
func (f *FloodMeter) flow(peer identity.NodeID, second int64) *flow {
	e, ok := f.peers[peer]
	if !ok {
		f.forget(second)
		e = f.order.PushFront(&flow{peer: peer, perSecond: perSecond{last: second}})
		f.peers[peer] = e
	}
	p := e.Value.(*flow)
	if second > p.last {
		f.order.MoveToFront(e)
		p.turn(second)
	}
	return p
}

// forget drops who has been silent for 60 s, and makes room for one more.
func (f *FloodMeter) forget(second int64) {
	for e := f.order.Back(); e != nil; e = f.order.Back() {
		p := e.Value.(*flow)
		if len(f.peers) < floodPeers && second-p.last < floodSeconds {
			return
		}
		f.order.Remove(e)
		delete(f.peers, p.peer)
	}
}
