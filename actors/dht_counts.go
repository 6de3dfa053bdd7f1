package actors

import (
	"sync/atomic"
	"time"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
)

// DHTCount is how many messages that came in over the DHT have ended in one way,
// since the node started.
type DHTCount struct {
	Reason dht.Reason  `json:"reason"`
	Count  uint64      `json:"count"`
	Last   *DHTFailure `json:"last,omitempty"` // the last of them that something was wrong with
}

// DHTFailure is why a message was dropped.
type DHTFailure struct {
	At   time.Time       `json:"at"`
	Peer identity.NodeID `json:"peer"`
	Err  string          `json:"err"`
}

// maxReasons is above every dht.Reason.
const maxReasons = 32

// dhtCounts counts the messages of one inbound actor. It outlives the actor,
// which alone writes it.
type dhtCounts struct {
	n    [maxReasons]atomic.Uint64
	last [maxReasons]atomic.Pointer[dhtFailure]
}

type dhtFailure struct {
	at   time.Time
	peer identity.NodeID
	err  error
}

func (n *dhtCounts) add(r dht.Reason) { n.n[r].Add(1) }

func (n *dhtCounts) failed(r dht.Reason, at time.Time, peer identity.NodeID, err error) {
	n.last[r].Store(&dhtFailure{at, peer, err})
}

// DHTCounts says how the messages have ended that came in over the DHT, in the
// order of the reasons, without those that there are none of.
func (e *Env) DHTCounts() []DHTCount {
	all := make([]*dhtCounts, len(e.dhtCounts))
	for i := range e.dhtCounts {
		all[i] = &e.dhtCounts[i]
	}
	return sumCounts(all...)
}

func sumCounts(all ...*dhtCounts) (list []DHTCount) {
	for _, r := range dht.Reasons() {
		sum := DHTCount{Reason: r}
		var last *dhtFailure
		for _, n := range all {
			sum.Count += n.n[r].Load()
			if l := n.last[r].Load(); l != nil && (last == nil || l.at.After(last.at)) {
				last = l
			}
		}
		if last != nil {
			sum.Last = &DHTFailure{last.at, last.peer, last.err.Error()}
		}
		if sum.Count > 0 {
			list = append(list, sum)
		}
	}
	return list
}
