package dht

import (
	"cmp"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// copyOut is the copy of one message for one peer.
type copyOut struct {
	send      *send
	index     int
	order     uint64 // the copies for a peer leave in ascending order
	peer      *outPeer
	state     copyState
	id        uint64 // of the last Write
	cost      int64
	connected uint64 // the peer's count when the session got the copy
	doubt     protocol.Outcome
	paced     bool         // the copy had to wait for the pace
	why       RelayFailure // of a relayed copy, if its outcome does not tell
}

// final returns the outcome of a copy whose last try ended in o. A copy that an
// earlier try may have written stays in doubt.
func (c *copyOut) final(o protocol.Outcome) protocol.Outcome {
	if o.Kind != protocol.Confirmed && c.doubt.Kind != 0 {
		return c.doubt
	}
	return o
}

type copyState uint8

const (
	copyWaiting  copyState = iota // in the peer's queue
	copyGiven                     // with the messaging session
	copyDoubtful                  // in doubt, until the peer is connected again
	copySettled
)

// outPeer holds the copies for one peer and what limits them.
type outPeer struct {
	id        identity.NodeID
	queue     copyList // our own waiting copies, in order
	relays    copyList // relayed waiting copies, which go when none of our own waits
	doubtful  copyList
	given     underWay
	others    underWay // of those, relayed copies
	relayed   int64    // bytes of relayed copies without an outcome
	connected uint64
	// openRelays counts the relayed copies without an outcome. While the session
	// has copies, since is when it last made progress. The peer is stalled when
	// relayed copies have waited too long for progress.
	openRelays int
	since      time.Time
	stalled    bool
	notBefore  time.Time  // no copy goes earlier, so that those of a failed try go again in order
	pace       *pacer     // nil if the peer is not paced
	relayPace  *pacer     // … counts the relayed copies among those of pace
	rate       *perSecond // of relayed copies, paced or not; nil before the first
	wake       wake
}

// underWay counts the copies that a session has.
type underWay struct {
	n     int
	bytes int64
}

func (u *underWay) add(n int, cost int64) {
	u.n += n
	u.bytes += cost
}

// copyList is a list of copies for one peer. Settled copies are removed in batches,
// when they are more than half of the list.
type copyList struct {
	list    []*copyOut
	settled int
}

func (l *copyList) settle() {
	l.settled++
	if 2*l.settled <= len(l.list) {
		return
	}
	l.settled = 0
	l.list = slices.DeleteFunc(l.list, func(c *copyOut) bool { return c.state == copySettled })
	if len(l.list) == 0 {
		l.list = nil
	}
}

func (o *Outbound) peer(id identity.NodeID) *outPeer {
	p, ok := o.peers[id]
	if !ok {
		p = &outPeer{id: id}
		p.wake.peer = p
		o.peers[id] = p
	}
	return p
}

// queueOf returns the queue for a copy.
func (p *outPeer) queueOf(c *copyOut) *copyList {
	if c.send.relay() {
		return &p.relays
	}
	return &p.queue
}

// push inserts a copy into its queue by its order.
func (p *outPeer) push(c *copyOut) {
	c.state = copyWaiting
	l := p.queueOf(c)
	q := l.list
	if n := len(q); n == 0 || q[n-1].order < c.order {
		l.list = append(q, c)
		return
	}
	i, _ := slices.BinarySearchFunc(q, c, func(a, b *copyOut) int { return cmp.Compare(a.order, b.order) })
	l.list = slices.Insert(q, i, c)
}

// again has a copy in doubt sent again: now if the peer has a newer connection than
// the copy was written to, else when the peer is connected again, or still is (see
// resend).
func (p *outPeer) again(c *copyOut) {
	if p.connected > c.connected {
		p.push(c)
		return
	}
	c.state = copyDoubtful
	p.doubtful.list = append(p.doubtful.list, c)
}

// resend has the copies in doubt sent again if the peer has a connection: that one
// lives, and the peer has reset their substream, or it was announced before the
// session that wrote them had heard of it. Without a connection they wait for the
// next one.
func (o *Outbound) resend(now time.Time, p *outPeer) {
	switch {
	case len(p.doubtful.list) == 0 || o.o.Online == nil:
	case now.Before(p.notBefore):
		o.wakePeer(p, p.notBefore)
	case o.o.Online(p.id):
		p.pushDoubtful()
	}
}

// pushDoubtful puts the copies in doubt into their queue.
func (p *outPeer) pushDoubtful() {
	for _, c := range p.doubtful.list {
		if c.state == copyDoubtful {
			p.push(c)
		}
	}
	p.doubtful = copyList{}
}

// back takes a copy back from its session.
func (p *outPeer) back(now time.Time, c *copyOut, written bool) {
	p.given.add(-1, -c.cost)
	if p.pace != nil {
		p.pace.done(now, written)
	}
	if !c.send.relay() {
		return
	}
	p.others.add(-1, -c.cost)
	if p.relayPace != nil {
		p.relayPace.done(now, written)
	}
}

func (p *outPeer) idle(now time.Time) bool {
	return len(p.queue.list) == 0 && len(p.relays.list) == 0 && len(p.doubtful.list) == 0 && p.given.n == 0 &&
		(p.pace == nil || p.pace.idle(now)) && (p.rate == nil || p.rate.idle(now))
}

// pump gives the session the copies that may go now, our own first. While relayed
// copies wait, a quarter of the window is reserved for them: otherwise two nodes that
// send much through each other would wait for each other.
func (o *Outbound) pump(now time.Time, p *outPeer) {
	o.resend(now, p)
	o.pumpQueue(now, p, &p.queue)
	o.pumpQueue(now, p, &p.relays)
	o.watch(p)
}

func (o *Outbound) pumpQueue(now time.Time, p *outPeer, q *copyList) {
	n := 0
	for ; n < len(q.list); n++ {
		c := q.list[n]
		if c.state == copySettled {
			q.settled--
			continue
		}
		if !o.give(now, p, c) {
			break
		}
	}
	clear(q.list[:n])
	if q.list = q.list[n:]; len(q.list) == 0 {
		q.list = nil
	}
}

// give hands a copy to the peer's session if it may go now.
func (o *Outbound) give(now time.Time, p *outPeer, c *copyOut) bool {
	cost := int64(len(c.send.frame)) + frameOverhead
	switch {
	case !now.Before(c.send.withdrawAt): // the send is about to end
		return false
	case now.Before(p.notBefore):
		o.wakePeer(p, p.notBefore)
		return false
	case p.given.n > 0 && p.given.bytes+cost > o.o.Window:
		return false
	case c.send.relay() && p.others.n > 0 && p.others.bytes+cost > o.o.Window/2: // the other half is reserved for our own
		return false
	case c.send.relay() && len(p.queue.list) > 0 && p.others.n > 0 && p.others.bytes+cost > o.o.Window/4:
		return false
	case !c.send.relay() && len(p.relays.list) > 0:
		if own := p.given.n - p.others.n; own > 0 && p.given.bytes-p.others.bytes+cost > o.o.Window*3/4 {
			return false
		}
	}
	if !o.inPace(now, p, c) {
		return false
	}
	if p.given.n == 0 {
		p.since = now
	}
	p.given.add(1, cost)
	if c.send.relay() {
		p.others.add(1, cost)
	}
	c.id, c.cost, c.state, c.connected = o.o.NewID(), cost, copyGiven, p.connected
	o.given[c.id] = c
	o.counts.Tries++
	if c.doubt.Kind != 0 {
		o.counts.Resent++
	}
	o.progress(c.send, Progress{Kind: SendTried, Copy: c.index})
	o.fx.Write = append(o.fx.Write, Write{c.id, p.id, c.send.frame})
	return true
}

// inPace reports whether the pace allows one more copy now, and counts it. Relayed
// copies leave a part of the pace free, so that our own find room at any time.
func (o *Outbound) inPace(now time.Time, p *outPeer, c *copyOut) bool {
	if !o.o.Paced(p.id) {
		p.pace, p.relayPace = nil, nil
		return true
	}
	if p.pace == nil {
		p.pace = &pacer{limit: o.o.Pace, within: PaceWithin, open: p.given.n}
		p.relayPace = &pacer{limit: o.o.Pace, within: PaceWithin, open: p.others.n}
	}
	at, ok := p.pace.allow(now)
	if ok && c.send.relay() {
		if at, ok = p.relayPace.allowOf(now, max(1, o.o.Pace-p.kept(now))); ok {
			p.relayPace.begin()
		}
	}
	if ok {
		p.pace.begin()
		return true
	}
	if !c.paced {
		c.paced = true
		o.counts.Paced++
	}
	if !at.IsZero() {
		o.wakePeer(p, at)
	}
	return false
}

// kept returns the part of the pace that is reserved for our own copies: a 45th, and
// four for each of our own in the last minute, up to a third. A burst of relayed copies
// may use nearly all of the pace of a peer that we send nothing to.
func (p *outPeer) kept(now time.Time) int {
	p.pace.forget(now)
	p.relayPace.forget(now)
	own := p.pace.count() - p.relayPace.count()
	return min(p.pace.limit/3, p.pace.limit/45+4*own)
}

func (o *Outbound) wakePeer(p *outPeer, at time.Time) {
	if !p.wake.set() || at.Before(p.wake.at) {
		o.wakes.put(&p.wake, at)
	}
}

// inOrder returns the open sends, oldest first.
func (o *Outbound) inOrder() []*send {
	all := make([]*send, 0, len(o.sends))
	for _, s := range o.sends {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *send) int { return cmp.Compare(a.id, b.id) })
	return all
}
