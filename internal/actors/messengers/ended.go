package messengers

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/durations"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Ended counts messages by their outcomes.
type Ended struct{ Confirmed, InDoubt, Failed uint64 }

func (e *Ended) add(o Ended) {
	e.Confirmed += o.Confirmed
	e.InDoubt += o.InDoubt
	e.Failed += o.Failed
}

func (e *Ended) count(k protocol.OutcomeKind) {
	switch k {
	case protocol.Confirmed:
		e.Confirmed++
	case protocol.InDoubt:
		e.InDoubt++
	default:
		e.Failed++
	}
}

// endedIn is how long an outcome counts in [Room.SentWithin], in steps of endedStep.
const (
	endedIn   = time.Hour
	endedStep = time.Minute
)

// ended counts the outcomes of the program's messages, since the start and of the last hour. Whoever
// settles messages writes it.
type ended struct {
	mu     sync.Mutex
	began  time.Time
	total  Ended
	minute [int(endedIn/endedStep) + 1]int64
	of     [int(endedIn/endedStep) + 1]Ended

	doubts map[identity.NodeID]time.Time // peers of messages in doubt, and the last time; at most maxDoubts

	reasons [protocol.Failed + 1][maxReasons]atomic.Uint64 // by outcome, but of those confirmed
	took    durations.Counts
}

// because counts the reason of an outcome that is not confirmed.
func (e *ended) because(o protocol.Outcome) {
	if o.Kind > protocol.Confirmed && o.Kind <= protocol.Failed && o.Reason < maxReasons {
		e.reasons[o.Kind][o.Reason].Add(1)
	}
}

func (e *ended) add(now time.Time, o Ended) {
	if o == (Ended{}) {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.began.IsZero() {
		e.began = now
	}
	e.total.add(o)
	minute := int64(now.Sub(e.began) / endedStep)
	i := minute % int64(len(e.of))
	if e.minute[i] != minute {
		e.minute[i], e.of[i] = minute, Ended{}
	}
	e.of[i].add(o)
}

// maxDoubts is how many peers are remembered whose messages are in doubt.
const maxDoubts = 64

// doubted notes a peer one of whose messages is in doubt.
func (e *ended) doubted(now time.Time, peer identity.NodeID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, ok := e.doubts[peer]; !ok && len(e.doubts) >= maxDoubts {
		maps.DeleteFunc(e.doubts, func(_ identity.NodeID, at time.Time) bool { return now.Sub(at) > endedIn })
		if len(e.doubts) >= maxDoubts {
			return
		}
	}
	if e.doubts == nil {
		e.doubts = make(map[identity.NodeID]time.Time)
	}
	e.doubts[peer] = now
}

// doubters returns which peers have had messages in doubt in the last hour, at most maxDoubts.
func (e *ended) doubters(now time.Time) (peers []identity.NodeID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for peer, at := range e.doubts {
		if now.Sub(at) <= endedIn {
			peers = append(peers, peer)
		}
	}
	return peers
}

func (e *ended) within(now time.Time) (sum Ended) {
	e.mu.Lock()
	defer e.mu.Unlock()
	minute := int64(now.Sub(e.began) / endedStep)
	for i := range e.of {
		if minute-e.minute[i] < int64(len(e.of)) {
			sum.add(e.of[i])
		}
	}
	return sum
}

// Sent returns how the messages of the program have ended since the start.
func (r *Room) Sent() Ended {
	r.ended.mu.Lock()
	defer r.ended.mu.Unlock()
	return r.ended.total
}

// SentWithin returns how they have ended in the last hour.
func (r *Room) SentWithin(now time.Time) Ended { return r.ended.within(now) }

// Doubters returns which peers have had messages of the program in doubt in the last hour, at most 64.
func (r *Room) Doubters(now time.Time) []identity.NodeID { return r.ended.doubters(now) }

// Ended counts the outcome of a message of the program to a peer that a part sends.
func (r *Room) Ended(peer identity.NodeID, o protocol.Outcome) {
	if o.Kind == protocol.InDoubt {
		r.ended.doubted(r.Now(), peer)
	}
	var e Ended
	e.count(o.Kind)
	r.ended.because(o)
	r.ended.add(r.Now(), e)
}
