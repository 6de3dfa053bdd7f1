package dht

import (
	"sync/atomic"
	"time"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
)

// Count is how many messages that came in over the DHT have ended in one way,
// since the node started.
type Count struct {
	Reason dht.Reason `json:"reason"`
	Count  uint64     `json:"count"`
	Last   *Failure   `json:"last,omitempty"` // the last of them that something was wrong with
}

// Failure is why a message was dropped.
type Failure struct {
	At   time.Time       `json:"at"`
	Peer identity.NodeID `json:"peer"`
	Err  string          `json:"err"`
}

// maxReasons is above every dht.Reason.
const maxReasons = 32

// counts counts the messages of one inbound actor. It outlives the actor,
// which alone writes it.
type counts struct {
	n    [maxReasons]atomic.Uint64
	last [maxReasons]atomic.Pointer[failure]
}

type failure struct {
	at   time.Time
	peer identity.NodeID
	err  error
}

func (n *counts) add(r dht.Reason) { n.n[r].Add(1) }

func (n *counts) failed(r dht.Reason, at time.Time, peer identity.NodeID, err error) {
	n.last[r].Store(&failure{at, peer, err})
}

// Counts says how the messages have ended that came in over the DHT, in the
// order of the reasons, without those that there are none of.
func (d *DHT) Counts() []Count {
	all := make([]*counts, len(d.shards))
	for i, s := range d.shards {
		all[i] = &s.counts
	}
	return sumCounts(all...)
}

func sumCounts(all ...*counts) (list []Count) {
	for _, r := range dht.Reasons() {
		sum := Count{Reason: r}
		var last *failure
		for _, n := range all {
			sum.Count += n.n[r].Load()
			if l := n.last[r].Load(); l != nil && (last == nil || l.at.After(last.at)) {
				last = l
			}
		}
		if last != nil {
			sum.Last = &Failure{last.at, last.peer, last.err.Error()}
		}
		if sum.Count > 0 {
			list = append(list, sum)
		}
	}
	return list
}
