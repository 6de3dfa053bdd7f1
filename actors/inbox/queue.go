package inbox

import "slices"

// item is a message between its arrival and the disk. It holds its credit.
type item struct {
	seq     uint64 // 0: not judged yet
	record  []byte // with its body
	at      int64
	canWait bool
	release func()
}

// queue is what is on its way to the disk. It outlives the actor, which alone
// uses it while it runs; the last write, when the node's actors have ended, takes
// what is left.
type queue struct {
	fresh   []*item // arrived, and not judged
	waiting []*item // without room
	ready   []*item // to be written
	forget  []uint64
	copied  map[uint64]struct{} // acknowledged, and kept only for copies: forgotten at the end
	next    uint64              // the next number; 0: nothing was loaded yet
	box     *Box                // of the last incarnation: who copies, and what they have missed
	awaits  []awaiter           // in order
}

// batchBytes bounds what one write takes, but for its last message.
const (
	batchBytes   = 4 << 20
	batchForgets = 8192
)

// batch returns what the next write takes: so many of ready and of forget.
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

// written takes away what a write took, and gives back the credit.
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

// rest takes all that is left, also what had no room: at the end of a node
// nothing is lost. next is the number that the next start begins with; 0 for
// the one that is set aside.
func (q *queue) rest() (changes []change, next uint64, release func()) {
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
	return changes, q.next, func() {
		for _, x := range all {
			x.release()
		}
	}
}

// forgotten is what is not to be handed out again, in order.
func (q *queue) forgotten() []uint64 {
	all := slices.Clone(q.forget)
	for seq := range q.copied {
		all = append(all, seq)
	}
	slices.Sort(all)
	return all
}
