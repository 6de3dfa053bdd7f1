package saf

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors/saf/store"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/saf"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// request is a request of a peer that was admitted.
type request struct {
	peer identity.NodeID
	wire.StoredRequest
	until time.Time // when its answer is of no use any more
	size  int64     // bytes of its answer when there was no room for it; 0: not known
}

// requestLimit is how long a request may wait for its answer. This library's clients wait
// for 30 s, others for two minutes; they drop what comes later (spec: dht 8.5/1).
const requestLimit = 25 * time.Second

// answer is an answer that is being read from the disk or sent.
type answer struct {
	request
	refs  []saf.Ref
	bytes int64
	timer *supervisor.Timer // for its dht.Sent
}

// read is an answer that was read from the disk, and the messages that could not be read.
type read struct {
	id      uint64
	body    []byte
	damaged []int // their places among the refs of the answer
}

// answerKey names the task that reads an answer.
type answerKey uint64

func (k answerKey) String() string { return fmt.Sprintf("answer-%d", uint64(k)) }

var errNoSender = errors.New("saf: the actor that sends messages does not run; try again")

// answersAtOnce is how many answers of the greatest length are under way at a time. Shorter
// ones are more. Those of at most smallAnswer bytes do not count, so that they do not wait
// for peers that read large ones slowly; of them mostSmall bytes are under way. A large one
// that has waited for answerPatience is cut to a small one.
const (
	answersAtOnce  = 4
	smallAnswer    = 64 << 10
	mostSmall      = 8 << 20
	answerPatience = 5 * time.Second
	// answerLimit is how long an answer may take to be written.
	answerLimit = 20 * time.Second
	// sentLimit is how long the dht.Sent of an answer may take. It never comes if the actor
	// that sends has restarted.
	sentLimit = answerLimit + 10*time.Second
	// refusedPause is how long a request waits whose answer had no room among the messages
	// being sent.
	refusedPause = time.Second
)

type (
	overdue     struct{ id uint64 } // of an answer
	refusedDue  struct{ request *request }
	patienceDue struct{}
)

// asked handles a request. One that is dropped counts towards a flood of its source. A
// malformed one is no offence (spec: dht 8.4).
func (k *keeper) asked(c actor.Context, m dht.Heard, to *actor.PID) {
	peer := m.Incoming.Source
	if m.Sealed || len(m.Parts) == 0 {
		c.Send(to, dht.NewIgnoreHeard(m))
		return
	}
	q, err := wire.DecodeStoredRequest(m.Parts[0])
	if err != nil {
		c.Send(to, dht.NewIgnoreHeard(m))
		return
	}
	stored := k.index == nil || k.index.StoresFor(peer)
	switch admission := k.requests.Ask(supervisor.Now(c), peer, stored, q); {
	case admission.Dropped():
		c.Send(to, dht.NewIgnoreHeard(m))
	case admission == saf.AnswerNow:
		k.waiting = append(k.waiting, request{peer: peer, StoredRequest: q, until: supervisor.Now(c).Add(requestLimit)})
		k.answerNext(c)
	}
}

// room reports whether one more answer of that size may be under way.
func (k *keeper) room(size int64) bool {
	if size <= smallAnswer {
		return k.small <= mostSmall-size
	}
	return k.large <= (answersAtOnce-1)*k.f.answer
}

// hold counts an answer that is under way, or with sign -1 one that has ended.
func (k *keeper) hold(size, sign int64) {
	if size <= smallAnswer {
		k.small += sign * size
	} else {
		k.large += sign * size
	}
}

// begin answers a request. It is false while there is no room for the answer.
func (k *keeper) begin(c actor.Context, q *request) bool {
	cut := !supervisor.Now(c).Before(q.until.Add(answerPatience - requestLimit))
	if q.size > 0 && !k.room(q.size) && !cut {
		return false
	}
	items := k.index.Answer(supervisor.Now(c), q.peer, q.StoredRequest, k.f.answer)
	if q.size = answerSize(items); !k.room(q.size) {
		if !cut {
			return false
		}
		if items = k.cut(items); len(items) == 0 || !k.room(answerSize(items)) {
			return false
		}
	}
	a := answer{request: *q, bytes: answerSize(items)}
	list := make([]saf.Stored, len(items))
	var missing []int
	var seqs []uint64
	for i, item := range items {
		a.refs = append(a.refs, item.Ref)
		list[i].StoredAt = item.StoredAt
		if list[i].Envelope = k.unwritten[item.Seq]; list[i].Envelope == nil {
			missing, seqs = append(missing, i), append(seqs, item.Seq)
		}
	}
	id := k.f.trunk.NewID()
	k.answers[id] = a
	k.hold(a.bytes, 1)
	disk, wall := k.f.store, supervisor.Wall(c)
	supervisor.Do(c, answerKey(id), func(context.Context) (read, error) {
		return readAnswer(disk, id, a.StoredRequest, wall, list, missing, seqs)
	})
	return true
}

func answerSize(items []saf.Item) int64 {
	size := int64(saf.AnswerOverhead)
	for _, item := range items {
		size += int64(item.Size)
	}
	return size
}

// cut returns the oldest messages of an answer that were never confirmed, as many as fit a
// small one. A message that does not fit holds up newer ones.
func (k *keeper) cut(items []saf.Item) []saf.Item {
	items = slices.DeleteFunc(items, func(i saf.Item) bool { return k.index.Sent(i.Ref) > 0 })
	for answerSize(items) > smallAnswer {
		items = items[1:]
	}
	return items
}

// readAnswer reads the missing envelopes of an answer, and encodes it.
func readAnswer(disk *store.Store, id uint64, q wire.StoredRequest, wall time.Time, list []saf.Stored, missing []int, seqs []uint64) (r read, err error) {
	r.id = id
	envelopes, err := disk.Envelopes(seqs)
	if err != nil {
		return r, err
	}
	for i, at := range missing {
		list[at].Envelope = envelopes[i]
	}
	r.body, r.damaged = saf.AppendAnswer(nil, q, wall, list)
	return r, nil
}

// read sends an answer that was read. Messages that could not be read are deleted.
func (k *keeper) read(c actor.Context, m supervisor.Done[read]) {
	id := uint64(m.Key.(answerKey))
	a, ok := k.answers[id]
	if !ok {
		return
	}
	if m.Err != nil {
		supervisor.Log(c).Warn("messages stored for another node could not be read", "peer", a.peer, "err", m.Err)
		k.end(c, id, a)
		return
	}
	refs := a.refs[:0:0]
	damaged := m.Value.damaged
	for i, ref := range a.refs {
		if len(damaged) == 0 || damaged[0] != i {
			refs = append(refs, ref)
			continue
		}
		damaged = damaged[1:]
		if k.index.Remove(ref) {
			k.remove([]uint64{ref.Seq})
			k.f.kept.damaged++
		}
	}
	a.refs = refs
	a.timer = supervisor.After(c, sentLimit, overdue{id})
	k.answers[id] = a
	err := k.f.send(c, id, dht.Control{
		Type: wire.TypeStoredMessages, To: dht.Direct{Peer: a.peer}, Part: m.Value.body, Limit: answerLimit,
	})
	if err != nil {
		k.end(c, id, a)
	}
	k.write(c)
}

// sent ends an answer. What was confirmed is deleted after the grace. An answer without
// credit is put together again a little later.
func (k *keeper) sent(c actor.Context, m dht.Sent) {
	a, ok := k.answers[m.ID]
	if !ok {
		return
	}
	if m.Report.Reason == dht.SendOverloaded {
		k.free(m.ID, a)
		k.refused++
		supervisor.After(c, refusedPause, refusedDue{&a.request})
		k.answerNext(c)
		return
	}
	if m.Report.Reason == 0 && m.Report.Count(protocol.Confirmed) > 0 {
		k.confirm(c, a.refs)
	}
	k.end(c, m.ID, a)
	k.write(c)
}

// confirm notes that messages were written to their destination.
func (k *keeper) confirm(c actor.Context, refs []saf.Ref) {
	for _, ref := range k.index.Confirmed(supervisor.Now(c), refs) {
		k.next.confirm = append(k.next.confirm, store.Confirmation{Seq: ref.Seq, Sent: k.index.Sent(ref)})
	}
	k.watch(c)
}

// reached has a message deleted after the grace that was relayed to its destination itself.
// Without that the destination would get it again, days later, when it has forgotten that it
// had it.
func (k *keeper) reached(c actor.Context, m dht.Reached) {
	if k.index == nil {
		return
	}
	if ref, ok := k.index.Find(m.Hash, m.Destination); ok {
		k.confirm(c, []saf.Ref{ref})
		k.write(c)
	}
}

// overdue ends an answer without a dht.Sent. Its messages stay stored.
func (k *keeper) overdue(c actor.Context, m overdue) {
	if a, ok := k.answers[m.id]; ok {
		supervisor.Log(c).Warn("an answer with stored messages has no outcome", "peer", a.peer)
		k.end(c, m.id, a)
	}
}

// askAgain lets a request go on whose answer had no credit.
func (k *keeper) askAgain(c actor.Context, m refusedDue) {
	k.refused--
	k.waiting = append(k.waiting, *m.request)
	k.answerNext(c)
}

// free gives back what an answer held.
func (k *keeper) free(id uint64, a answer) {
	delete(k.answers, id)
	k.hold(a.bytes, -1)
	if a.timer != nil {
		a.timer.Stop()
	}
}

// end lets the next requests go on when an answer has ended.
func (k *keeper) end(c actor.Context, id uint64, a answer) {
	k.free(id, a)
	k.done(c, a.peer)
	k.answerNext(c)
}

// answerNext begins the answers to requests that wait, in their order, as far as there is
// room: a short answer may begin before a long one. While what is stored is read, all wait.
func (k *keeper) answerNext(c actor.Context) {
	var again []request
	for len(k.waiting) > 0 {
		q := k.waiting[0]
		k.waiting = k.waiting[1:]
		switch {
		case !supervisor.Now(c).Before(q.until):
			k.late(c, q)
		case k.index == nil || !k.begin(c, &q):
			again = append(again, q)
		}
	}
	k.waiting = again
	if k.patience == nil && k.index != nil && len(again) > 0 {
		k.patience = supervisor.After(c, answerPatience, patienceDue{})
	}
}

// late drops a request that has waited for too long, so that messages are not sent to
// somebody who drops them.
func (k *keeper) late(c actor.Context, q request) {
	k.f.kept.dropped++
	k.done(c, q.peer)
}

// done ends what the peer has under way, and lets its next request wait.
func (k *keeper) done(c actor.Context, peer identity.NodeID) {
	if next, ok := k.requests.Done(peer); ok {
		k.waiting = append(k.waiting, request{peer: peer, StoredRequest: next, until: supervisor.Now(c).Add(requestLimit)})
	}
}
