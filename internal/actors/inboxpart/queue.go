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
	entry   Entry
	id      mark
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
	unnoted []uint64            // of copied: whose acknowledgement is not on the disk
	noted   map[uint64]struct{} // of copied and forget: it is, or may be
	next    uint64              // the next number; 0: the messages on the disk were not read yet
	box     *Box                // of the last incarnation, for its copiers and what they missed
	awaits  []awaiter           // in order
	last    bool                // the node stops: see Box.Last
	ids     map[uint64]mark     // of messages that are numbered and not deleted
	untold  news                // written, and perhaps not synced
	handed  uint64              // messages up to this number were handed out, unless marked says how often
	marked  map[uint64]Tries    // messages of which the disk says how often they were handed out, and what it says
	drops   map[uint64]struct{} // of forget and copied: taken off the shelf and dropped
}

// Limits of one write.
const (
	batchBytes   = 4 << 20 // bytes of records; the last one may exceed it
	batchForgets = 8192    // deletions, and likewise acknowledgements of what is kept for copiers
)

// batch returns the changes of the next write, and how many entries of ready, of
// unnoted and of forget they are.
func (q *queue) batch() (changes []change, items, notes, forgets int) {
	size := 0
	for _, x := range q.ready {
		if size >= batchBytes {
			break
		}
		changes = append(changes, change{seq: x.seq, record: x.record})
		size += len(x.record)
		items++
	}
	q.unnoted = slices.DeleteFunc(q.unnoted, func(seq uint64) bool { // these are in forget now
		_, stays := q.copied[seq]
		return !stays
	})
	for _, seq := range q.unnoted[:min(len(q.unnoted), batchForgets)] {
		q.noted[seq] = struct{}{}
		changes = append(changes, change{key: ackedKey(seq), record: []byte{1}})
		notes++
	}
	for _, seq := range q.forget[:min(len(q.forget), batchForgets)] {
		changes = q.appendForget(changes, seq)
		forgets++
	}
	return changes, items, notes, forgets
}

// appendForget appends the changes that delete a message.
func (q *queue) appendForget(changes []change, seq uint64) []change {
	changes = append(changes, change{seq: seq})
	if _, ok := q.marked[seq]; ok {
		changes = append(changes, change{key: triesKey(seq)})
	}
	if _, ok := q.noted[seq]; ok {
		changes = append(changes, change{key: ackedKey(seq)})
	}
	return changes
}

// news returns what the changes of the first items and acknowledgements mean to senders.
func (q *queue) news(items []*item, acked []uint64) (n news) {
	for _, x := range items {
		if id, ok := x.id.id(); ok {
			n.kept = append(n.kept, id)
		}
	}
	for _, seq := range acked {
		id, ok := q.ids[seq].id()
		if _, drop := q.drops[seq]; ok && drop {
			n.dropped = append(n.dropped, id)
		} else if ok {
			n.handled = append(n.handled, id)
		}
	}
	return n
}

// number gives a message its number.
func (q *queue) number(x *item, seq uint64) {
	if x.seq = seq; x.id != (mark{}) {
		q.ids[seq] = x.id
	}
}

// written removes the items, acknowledgements and deletions of a finished write from the queue, and returns
// the credit of the items. It returns the numbers of the items.
func (q *queue) written(items, notes, forgets int) (seqs []uint64) {
	done := q.ready[:items:items]
	for _, seq := range q.unnoted[:notes] { // their senders are not told again
		delete(q.ids, seq)
		delete(q.drops, seq)
	}
	for _, seq := range q.forget[:forgets] {
		delete(q.ids, seq)
		delete(q.marked, seq)
		delete(q.drops, seq)
		delete(q.noted, seq)
	}
	q.ready, q.unnoted, q.forget = q.ready[items:], q.unnoted[notes:], q.forget[forgets:]
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
			changes = append(changes, change{seq: x.seq, record: x.record})
		}
	}
	for _, seq := range q.forgotten() {
		changes = q.appendForget(changes, seq)
	}
	changes = append(changes, q.tries()...)
	q.ready, q.waiting, q.fresh, q.unnoted, q.forget = nil, nil, nil, nil, nil
	return changes, q.next, func(written bool) {
		for _, x := range all {
			if written && x.seq > 0 || x.entry.Over == nil {
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

// said is how often a message was handed out as the disk has it.
func said(marked map[uint64]Tries, handed, seq uint64, topic string) Tries {
	if t, ok := marked[seq]; ok || topic != "" || seq > handed {
		return t
	}
	return Tries{N: 1}
}

// mark returns the change with which the disk says how often a message was handed out.
func (q *queue) mark(seq uint64, t Tries) change {
	q.marked[seq] = t
	return change{key: triesKey(seq), record: t.record()}
}

// tries are the changes with which the disk says exactly how often messages were handed out.
func (q *queue) tries() (changes []change) {
	if q.box == nil {
		return nil
	}
	for seq, t := range q.box.Counts() {
		if said(q.marked, q.handed, seq, q.box.Topic(seq)) != t {
			changes = append(changes, change{key: triesKey(seq), record: t.record()})
		}
	}
	return changes
}
