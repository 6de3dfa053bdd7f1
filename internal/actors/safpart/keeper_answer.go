package safpart

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/safpart/store"
	"github.com/gamelan-p2p/gamelan/internal/credit"
	"github.com/gamelan-p2p/gamelan/internal/dht/saf"
	"github.com/gamelan-p2p/gamelan/internal/queue"
	"github.com/gamelan-p2p/gamelan/internal/share"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// request is a request of a peer that was admitted.
type request struct {
	peer identity.NodeID
	wire.StoredRequest
	until  time.Time // when its answer is of no use any more
	size   int64     // bytes of its answer, of a cut one if there was no room for it; 0: not known
	serial uint64    // in the order in which requests began to wait

	holder  share.Holder[identity.NodeID] // of what the answer takes
	untaken bool                          // see [saf.Requests.Untaken]; as of when it came into its line
	weight  share.Weight                  // of the holder, likewise
	short   int64                         // size, 0 once it has waited for answerPatience, likewise
	place   int                           // in the line
}

// patient reports whether the request has not waited for answerPatience.
func (q *request) patient(now time.Time) bool {
	return now.Before(q.until.Add(answerPatience - requestLimit))
}

// requestLimit is how long a request may wait for its answer. This library's clients wait
// for 30 s, others for two minutes; they drop what comes later (spec: dht 8.5/1).
const requestLimit = 25 * time.Second

// answer is an answer that is being read from the disk or sent.
type answer struct {
	request
	refs  []saf.Ref
	bytes int64             // of credit
	begun time.Time         // when it was given to the actor that sends; zero: it is being read
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

// Answers under way have a part of the node's credit for messages that it sends, which is half of
// what those of the DHT have together. Those above smallAnswer have half of that part, so that
// they do not hold up others, and so have those to peers that have not confirmed their last answer.
// One always fits. A large one that has waited for answerPatience is cut to a small one. One that
// has not moved for stillLimit while another waits is given up.
const (
	underShare     = 32 // of the credit
	smallAnswer    = 64 << 10
	answerPatience = 5 * time.Second
	stillLimit     = 3 * time.Second
	// lookEvery is how often the keeper looks for answers to cut or to give up.
	lookEvery = time.Second
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
	overdue    struct{ id uint64 } // of an answer
	refusedDue struct{ request *request }
	lookDue    struct{}
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
	from, _ := k.source(supervisor.Now(c), peer)
	switch admission := k.requests.Ask(supervisor.Now(c), peer, from, stored, q); {
	case admission.Dropped():
		c.Send(to, dht.NewIgnoreHeard(m))
	case admission == saf.AnswerNow:
		k.wait(c, peer, q)
		k.answerNext(c)
	}
}

// wait adds a request to those that wait for their answer.
func (k *keeper) wait(c actor.Context, peer identity.NodeID, q wire.StoredRequest) {
	now := supervisor.Now(c)
	from, _ := k.source(now, peer)
	k.serial++
	k.waiting = append(k.waiting, &request{
		peer: peer, StoredRequest: q, until: now.Add(requestLimit), serial: k.serial, untaken: k.requests.Untaken(peer),
		holder: share.Holder[identity.NodeID]{Source: from, Key: peer},
	})
}

// room reports whether an answer of that size to the request may be under way.
func (k *keeper) room(q *request, size int64) bool {
	if !k.fits(size) || q.untaken && !k.fits(size+k.f.under/2) {
		return false
	}
	return size <= smallAnswer || k.large == 0 || k.large <= k.f.under/2-size
}

// fits reports whether all answers under way would have room for that much more.
func (k *keeper) fits(size int64) bool {
	all := k.large + k.small
	return all == 0 || all <= k.f.under-size
}

// hold counts an answer that is under way, or with sign -1 one that has ended.
func (k *keeper) hold(a *answer, sign int64) {
	if a.bytes <= smallAnswer {
		k.small += sign * a.bytes
	} else {
		k.large += sign * a.bytes
	}
	k.shares.Add(a.holder, sign*a.bytes)
}

// begin answers a request. It is false while there is no room for the answer.
func (k *keeper) begin(c actor.Context, q *request) bool {
	cut := !q.patient(supervisor.Now(c))
	if !k.room(q, q.size) && (!cut || q.size <= smallAnswer) {
		return false
	}
	items := k.index.Answer(supervisor.Now(c), q.peer, q.StoredRequest, k.f.answer)
	q.size = answerSize(items)
	if !k.room(q, q.size) && cut {
		if items = k.cut(items); len(items) > 0 {
			q.size = answerSize(items)
		}
	}
	if !k.room(q, q.size) {
		return false
	}
	a := answer{request: *q, bytes: q.size}
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
	k.hold(&a, 1)
	disk, wall := k.f.store, supervisor.Wall(c)
	supervisor.Do(c, answerKey(id), func(context.Context) (read, error) {
		return readAnswer(disk, id, a.StoredRequest, wall, list, missing, seqs)
	})
	return true
}

// answerSize returns the credit that an answer takes.
func answerSize(items []saf.Item) int64 {
	size := saf.AnswerOverhead
	for _, item := range items {
		size += item.Size
	}
	return credit.Cost(size)
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
	a.refs, a.begun = refs, supervisor.Now(c)
	a.timer = supervisor.After(c, sentLimit, overdue{id})
	k.answers[id] = a
	err := k.f.trunk.SendControl(c, id, dht.Control{
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
	confirmed := m.Report.Reason == 0 && m.Report.Count(protocol.Confirmed) > 0
	if confirmed {
		k.confirm(c, a.refs)
	}
	if !confirmed || len(a.refs) > 0 { // anybody confirms an empty answer
		k.requests.Took(a.peer, confirmed)
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
	k.waiting = append(k.waiting, m.request)
	k.answerNext(c)
}

// free gives back what an answer held.
func (k *keeper) free(id uint64, a answer) {
	delete(k.answers, id)
	k.hold(&a, -1)
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

// answerNext begins the answers to requests that wait, as far as there is room: first those
// whose source, and then whose peer, has least under way. Of equals those of peers go last that
// have not confirmed their last answer. Then those are first that have waited for answerPatience,
// then the shortest, then the oldest. A short answer may begin before a large one that waits for
// other large ones. While what is stored is read, all wait.
func (k *keeper) answerNext(c actor.Context) {
	now := supervisor.Now(c)
	line := queue.New(func(a, b *request) bool {
		if by := a.weight.Compare(b.weight); by != 0 {
			return by < 0
		}
		if a.untaken != b.untaken {
			return b.untaken
		}
		return cmp.Or(cmp.Compare(a.short, b.short), cmp.Compare(a.serial, b.serial)) < 0
	}, func(q *request) *int { return &q.place })
	var again []*request
	full := k.index == nil
	for len(k.waiting)+line.Len() > 0 {
		for _, q := range k.waiting {
			q.weight, q.untaken = k.shares.Weight(q.holder), k.requests.Untaken(q.peer)
			if q.size == 0 && k.index != nil {
				q.size = answerSize(k.index.Answer(now, q.peer, q.StoredRequest, k.f.answer))
			}
			if q.short = 0; q.patient(now) {
				q.short = q.size
			}
			line.Add(q)
		}
		k.waiting = nil
		q := line.First()
		if weight := k.shares.Weight(q.holder); weight != q.weight { // an answer of its source has begun
			q.weight = weight
			line.Moved(q)
			continue
		}
		line.Remove(q)
		switch {
		case !now.Before(q.until):
			k.late(c, q)
		case full || !k.begin(c, q):
			again = append(again, q)
			full = full || !k.fits(q.size)
		}
	}
	k.waiting = again
	if !k.looks && k.index != nil && len(again) > 0 {
		k.looks = true
		supervisor.After(c, lookEvery, lookDue{})
	}
}

// giveUp ends answers that stand still, until no request waits. Those to peers that have not
// confirmed the last one go first, of them those of the source that has most, and of equals the
// oldest. For requests of such peers alone no others are given up.
func (k *keeper) giveUp(c actor.Context) {
	now := supervisor.Now(c)
	var still []uint64
	for id, a := range k.answers {
		if moved := k.f.moved(a.peer); !a.begun.IsZero() && now.Sub(a.begun) >= stillLimit && now.Sub(moved) >= stillLimit {
			still = append(still, id)
		}
	}
	if len(still) == 0 {
		return
	}
	slices.Sort(still)
	var shares share.Shares[uint64]
	for _, id := range slices.Backward(still) { // of equals the newest of shares goes first
		a := k.answers[id]
		shares.Add(share.Holder[uint64]{Source: a.holder.Source, Key: id, Last: !a.untaken}, a.bytes)
	}
	taken := func(q *request) bool { return !q.untaken }
	for range still {
		h, _ := shares.Most()
		if len(k.waiting) == 0 || h.Last && !slices.ContainsFunc(k.waiting, taken) {
			return
		}
		a := k.answers[h.Key]
		shares.Add(h, -a.bytes)
		k.f.kept.gaveUp++
		k.f.cancel(c, h.Key)
		k.requests.Took(a.peer, false)
		k.free(h.Key, a)
		k.done(c, a.peer)
		if slices.ContainsFunc(k.waiting, func(q *request) bool { return k.room(q, q.size) }) {
			k.answerNext(c)
		}
	}
}

// late drops a request that has waited for too long, so that messages are not sent to
// somebody who drops them.
func (k *keeper) late(c actor.Context, q *request) {
	k.f.kept.dropped++
	k.done(c, q.peer)
}

// done ends what the peer has under way, and lets its next request wait.
func (k *keeper) done(c actor.Context, peer identity.NodeID) {
	if next, ok := k.requests.Done(peer); ok {
		k.wait(c, peer, next)
	}
}
