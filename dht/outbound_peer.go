package dht

import (
	"cmp"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// copyOut is one message on its way to one peer.
type copyOut struct {
	send      *send
	index     int
	order     uint64 // of those that wait for a peer, what came first goes first
	peer      *outPeer
	state     copyState
	id        uint64 // of the last Write
	cost      int64
	connected uint64 // the peer's count when it was given out
	doubt     protocol.Outcome
	paced     bool         // has waited for the pace
	why       RelayFailure // of what is passed on, when its outcome does not say
}

// final is the outcome of a copy whose last try had this one: what was written
// once is never said to be unwritten.
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
	copyDoubtful                  // until the peer is connected again
	copySettled
)

// outPeer is what is on its way to one peer.
type outPeer struct {
	id        identity.NodeID
	queue     copyList // our own that wait, in order
	relays    copyList // those of others, which go when none of our own waits
	doubtful  copyList
	given     underWay
	others    underWay // of those given, what is passed on
	relayed   int64    // bytes of others without an outcome
	connected uint64
	// openRelays are the copies of others without an outcome. While anything is
	// given to the session, since is when it last made progress; it has stalled
	// when copies for others have waited too long for that.
	openRelays int
	since      time.Time
	stalled    bool
	notBefore  time.Time  // after a try that came to nothing: others that did may follow
	pace       *pacer     // nil while it is not paced
	relayPace  *pacer     // … of what is passed on, a part of it
	rate       *perSecond // of what is passed on, paced or not; nil: nothing was
	wake       wake
}

// underWay is what is given to a session.
type underWay struct {
	n     int
	bytes int64
}

func (u *underWay) add(n int, cost int64) {
	u.n += n
	u.bytes += cost
}

// copyList is copies of one peer. Those that were settled in it are taken out
// some at a time, so that they are never more than the others.
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

// queueOf returns the queue that a copy waits in.
func (p *outPeer) queueOf(c *copyOut) *copyList {
	if c.send.relay() {
		return &p.relays
	}
	return &p.queue
}

// push puts a copy into its queue, where it belongs by its order.
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

// again puts a copy in doubt where it is tried again: at once when the peer has
// a newer connection than the copy went out with, else when it gets one.
func (p *outPeer) again(c *copyOut) {
	if p.connected > c.connected {
		p.push(c)
		return
	}
	c.state = copyDoubtful
	p.doubtful.list = append(p.doubtful.list, c)
}

// back takes a copy from its session.
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

// pump gives out what may go to the peer now: our own first. While messages of
// others wait, a quarter of the window is theirs all the same: else two nodes
// that send much through each other would each wait for the other's to go.
func (o *Outbound) pump(now time.Time, p *outPeer) {
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
	case !now.Before(c.send.early): // it is about to end
		return false
	case now.Before(p.notBefore):
		o.wakePeer(p, p.notBefore)
		return false
	case p.given.n > 0 && p.given.bytes+cost > o.o.Window:
		return false
	case c.send.relay() && p.others.n > 0 && p.others.bytes+cost > o.o.Window/2: // the rest is for our own
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

// inPace reports whether the peer may get one more now, and counts it. What is
// passed on leaves a part of the pace to our own, which finds room at any time.
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

// kept is the part of the pace that is kept for our own: a few places, and four
// for each message of our own in the last minute, up to a third. A burst of
// others may have nearly all of it where we send nothing ourselves.
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
