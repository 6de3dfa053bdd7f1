package inboxpart

import (
	"slices"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/messengers"
)

// item is a message between its arrival and the disk. It holds its credit.
type item struct {
	seq     uint64 // 0: not admitted yet
	peer    identity.NodeID
	body    int    // length of the body
	record  []byte // includes the body
	at      int64
	over    *Over  // nil: it is a plain message
	release func() // gives the credit back: it is handled
	refuse  func() // gives the credit back: it is dropped, and may come again
}

// queue holds the messages and deletions on their way to the disk. Only the keeper uses
// it while the keeper runs. It outlives the keeper's incarnations: when the node's actors
// have ended, [Inbox.Close] writes the rest.
type queue struct {
	fresh   []*item             // arrived, and not judged by the box yet
	waiting []*item             // without room
	ready   []*item             // to be written
	forget  []uint64            // to be deleted
	copied  map[uint64]struct{} // acknowledged, and kept for copiers alone; deleted at the end
	next    uint64              // the next number; 0: the messages on the disk were not read yet
	box     *Box                // of the last incarnation, for its copiers and what they missed
	awaits  []awaiter           // in order
	last    bool                // the node stops: see Box.Last
}

// Limits of one write.
const (
	batchBytes   = 4 << 20 // bytes of records; the last one may exceed it
	batchForgets = 8192    // deletions
)

// batch returns the changes of the next write, and how many entries of ready and of
// forget they are.
func (q *queue) batch() (changes []change, items, forgets int) {
	size := 0
	for _, x := range q.ready {
		if size >= batchBytes {
			break
		}
		changes = append(changes, change{x.seq, x.record})
		size += len(x.record)
		items++
	}
	for _, seq := range q.forget[:min(len(q.forget), batchForgets)] {
		changes = append(changes, change{seq: seq})
		forgets++
	}
	return changes, items, forgets
}

// written removes the items and deletions of a finished write from the queue, and returns
// the credit of the items. It returns the numbers of the items.
func (q *queue) written(items, forgets int) (seqs []uint64) {
	done := q.ready[:items:items]
	q.ready, q.forget = q.ready[items:], q.forget[forgets:]
	for _, x := range done {
		seqs = append(seqs, x.seq)
		x.release()
	}
	clear(done)
	return seqs
}

// unwritten returns the messages that are not on the disk, by peer.
func (q *queue) unwritten() map[identity.NodeID]messengers.Loss {
	of := make(map[identity.NodeID]messengers.Loss)
	for _, x := range slices.Concat(q.ready, q.waiting, q.fresh) {
		l := of[x.peer]
		of[x.peer] = messengers.Loss{Messages: l.Messages + 1, Bytes: l.Bytes + uint64(x.body)}
	}
	return of
}

// rest empties the queue and returns all its changes, including messages without room, so
// that the end of a node loses none. Next is the number with which the next start begins.
// End returns the credit of the messages. Those over the DHT may come again unless they were
// written.
func (q *queue) rest() (changes []change, next uint64, end func(written bool)) {
	all := slices.Concat(q.ready, q.waiting, q.fresh)
	for _, x := range all {
		if x.seq == 0 && q.next > 0 {
			x.seq = q.next
			q.next++
		}
		if x.seq > 0 {
			changes = append(changes, change{x.seq, x.record})
		}
	}
	for _, seq := range q.forgotten() {
		changes = append(changes, change{seq: seq})
	}
	q.ready, q.waiting, q.fresh, q.forget = nil, nil, nil, nil
	return changes, q.next, func(written bool) {
		for _, x := range all {
			if written && x.seq > 0 || x.refuse == nil {
				x.release()
			} else {
				x.refuse()
			}
		}
	}
}

// forgotten returns the messages that must not be handed out again, in order.
func (q *queue) forgotten() []uint64 {
	all := slices.Clone(q.forget)
	for seq := range q.copied {
		all = append(all, seq)
	}
	slices.Sort(all)
	return all
}
