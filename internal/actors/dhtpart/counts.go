package dhtpart

import (
	"sync/atomic"
	"time"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
)

// Count is the number of inbound DHT messages that ended for one reason since the
// node started.
type Count struct {
	Reason dht.Reason `json:"reason"`
	Count  uint64     `json:"count"`
	Last   *Failure   `json:"last,omitempty"` // the last one that was dropped because of an error; nil: none was
}

// Failure describes one dropped message: when, from which peer, and why.
type Failure struct {
	At   time.Time       `json:"at"`
	Peer identity.NodeID `json:"peer"`
	Err  string          `json:"err"`
}

// maxReasons is greater than every dht.Reason.
const maxReasons = 32

// counts counts the messages of one inbound actor by reason. Only that actor writes
// it. It outlives the actor's incarnations.
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

// remove undoes an add, because the message has ended for another reason.
func (n *counts) remove(r dht.Reason) { n.n[r].Add(^uint64(0)) }

func (n *counts) failed(r dht.Reason, at time.Time, peer identity.NodeID, err error) {
	n.last[r].Store(&failure{at, peer, err})
}

// Counts returns how many inbound DHT messages ended for each reason, in the order of
// the reasons, omitting zeros.
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
