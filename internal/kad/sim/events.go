package sim

import (
	"time"

	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// event is something that happens at a time.
type event struct {
	at    time.Duration // since the beginning
	count uint64        // events of one time happen in the order in which they were planned
	node  *node         // nobody happens to a node that has left
	timer timer
	pkt   *packet // for timer arrives
	do    func()  // for timer calls
}

// timer says what an event is.
type timer uint8

const (
	arrives timer = iota
	calls
	tableDue
	rpcDue
	upkeepDue
	timers
)

// packet is a message on its way.
type packet struct {
	from    *node
	msg     overlay.Message
	size    int
	request bool
	cause   cause
}

// cause is what a request is sent for.
type cause uint8

const (
	measured   cause = iota // or published: not counted
	liveness                // probes of contacts of the table
	candidates              // probes of nodes that have asked something
	former                  // probes of former contacts and of addresses to enter by
	ownLookup               // lookups of the own id
	rangeLookup
	replication // lookups of the holders of a record
	storing     // of a record at them
	causes
)

// heap of events, the first one at the top.
type heap []event

func (h heap) less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].count < h[j].count
}

func (h *heap) push(e event) {
	*h = append(*h, e)
	l := *h
	for i := len(l) - 1; i > 0; {
		up := (i - 1) / 2
		if !l.less(i, up) {
			break
		}
		l[i], l[up] = l[up], l[i]
		i = up
	}
}

func (h *heap) pop() event {
	l := *h
	top := l[0]
	last := len(l) - 1
	l[0] = l[last]
	l[last] = event{}
	l = l[:last]
	*h = l
	for i := 0; ; {
		down := 2*i + 1
		if down >= last {
			break
		}
		if down+1 < last && l.less(down+1, down) {
			down++
		}
		if !l.less(down, i) {
			break
		}
		l[i], l[down] = l[down], l[i]
		i = down
	}
	return top
}
