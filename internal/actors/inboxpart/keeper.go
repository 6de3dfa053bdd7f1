package inboxpart

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/internal/actors/messengers"
	"github.com/gamelan-p2p/gamelan/internal/actors/users"
	"github.com/gamelan-p2p/gamelan/internal/backoff"
	"github.com/gamelan-p2p/gamelan/internal/protocol/outcomes"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// keeper receives the messages of a node, has them written and hands them out.
//
// In: actors.Received, dht.Received, pull → pulled, hold → held, ack → acked, await → handsFree,
// shelf → shelved, retry and drop → taken, decline, unreadable, leave, event MessagesEnd. Out: the replies,
// event ProtocolsChanged. A restart loses which listener has which message in hand, so such messages are
// handed out again, and each listener repeats its pull. The messages on their way to the
// disk, with their credit, outlive the keeper, and so do unanswered awaits.
type keeper struct {
	in  *Inbox
	box *Box // nil until the messages on the disk are read

	busy      bool      // a write or a load is under way
	items     int       // messages in the write under way
	notes     int       // acknowledgements in the write under way of what is kept for copiers
	forgets   int       // deletions in the write under way
	ahead     uint64    // messages up to this number are handed out when the write under way has ended
	writing   news      // what the write under way means to senders
	owing     bool      // some messages in unnoted and forget were acknowledged by Inbox.Handled, and that is to be synced soon
	acks      []reply   // senders of ack and drop, answered when that is on the disk
	handing   []handing // answers to pulls, whose marks are to be written first
	marking   int       // how many of handing are being marked
	answering int       // how many of acks the write under way answers
	synced    time.Time
	timer     *supervisor.Timer
	dueTimer  *supervisor.Timer
	dueAt     time.Time // of dueTimer

	waiting map[uint64]*puller // unanswered pulls, by listener
	early   []acker            // acks that came before the messages on the disk were read
	last    map[uint64]*answer // by listener
	at      map[uint64]*place  // by listener
	turn    uint64             // the listener that got messages last; the others come first
	dead    int                // messages on the shelf that the log has

	fails int // failed writes or loads in a row
	err   error
	since time.Time
}

// puller is a pull that has no answer yet.
type puller struct {
	pull
	from *actor.PID
}

// place is where a listener is.
type place struct {
	at *atomic.Uint64
	is uint64 // when the actor began with its message
}

// acker is an ack and its sender.
type acker struct {
	ack
	from *actor.PID
}

// reply is an answer that waits for the disk.
type reply struct {
	to     *actor.PID
	answer any
}

// awaiter is an await that has no answer yet. A listener causes at most two, and
// repetitions of them.
type awaiter struct {
	await
	from *actor.PID
}

// answer is the last answer to a listener. It is repeated if it did not arrive.
type answer struct {
	n uint64
	pulled
	to *actor.PID // while the answer waits for its marks; nil: it does not
}

type (
	// pull asks for messages on behalf of a listener that has received got answers so
	// far. The first pull adds the listener. Reply: pulled, as soon as there are
	// messages.
	pull struct {
		listener, got uint64
		all           bool
		topic         string // without all: of the messages
		after         uint64 // with all: the listener is done with all messages up to this number
		most          int
		at            *atomic.Uint64 // the message that it is at, which stays in its hand; 0: none
	}
	// hold asks whether a listener still has a message in hand, and renews that. Reply: held.
	hold struct{ listener, seq uint64 }
	held struct{ it bool }
	// pulled replies to pull. Refused means that there are too many listeners.
	pulled struct {
		seqs    []uint64
		tries   []int  // of each, without all
		lost    uint64 // with all: how many messages the listener was never told of so far
		refused bool
	}
	// ack acknowledges messages. Reply: acked, when that is synced to the
	// disk.
	ack   struct{ seqs []uint64 }
	acked struct{}
	// handled says that Inbox.handled has messages. No reply.
	handled struct{}
	// await asks for an answer when the listener has left or, unless left is set, when
	// it has fewer messages in hand than below. Reply: handsFree.
	await struct {
		listener uint64
		left     bool
		below    int
	}
	handsFree struct{ hands int } // that it has still
	// decline has a message rest. No reply.
	decline struct{ listener, seq uint64 }
	// unreadable takes a message out whose record cannot be read. No reply.
	unreadable struct{ seq uint64 }
	// leave removes a listener. Finished means that it got all messages it had asked
	// for. No reply.
	leave struct {
		listener, got uint64 // it has received so many answers
		finished      bool
		rest          []uint64 // it was handed these, and has not begun with them
	}
	// shelf asks for the messages on the shelf. Reply: shelved.
	shelf   struct{}
	shelved struct {
		seqs  []uint64
		tries []int
	}
	// retry takes messages off the shelf, and drop deletes them; without seqs all. Reply: taken, of drop when that is synced.
	retry struct{ seqs []uint64 }
	drop  struct{ seqs []uint64 }
	taken struct{ n int }

	writeTick struct{}
	dueTick   struct{}

	wrote  struct{ synced bool }
	marked struct{}
)

const (
	// syncEvery is how long written messages may stay without a sync.
	syncEvery = time.Second
	// The pause after a write that failed, doubled each time.
	retryFirst = 250 * time.Millisecond
	retryMost  = 10 * time.Second
)

func newKeeper(in *Inbox) *keeper {
	return &keeper{in: in, waiting: make(map[uint64]*puller), last: make(map[uint64]*answer), at: make(map[uint64]*place)}
}

func (k *keeper) Receive(c actor.Context) {
	k.look()
	k.takeHandled(c)
	switch m := c.Message().(type) {
	case *actor.Started:
		k.synced = supervisor.Now(c)
		supervisor.Subscribe[messengers.MessagesEnd](c)
		k.load(c)
	case actors.Received:
		k.received(c, &KeptMessage{From: m.From, Peer: m.Peer, ID: m.ID, Topic: m.Topic, Body: m.Body}, m.Keep(), m.Refuse)
	case dht.Received:
		k.received(c, fromDHT(&m), m.Keep(), m.Refuse)
	case pull:
		k.pull(c, &puller{m, c.Sender()})
	case ack:
		k.ack(c, acker{m, c.Sender()})
	case hold:
		if k.box != nil {
			k.renew(c)
			c.Respond(held{k.box.Renew(supervisor.Now(c), m.listener, m.seq)})
		}
	case handled: // taken already, or taken when the messages on the disk have been read
	case await:
		k.in.queue.awaits = append(k.in.queue.awaits, awaiter{m, c.Sender()})
		k.settle(c)
	case decline:
		k.decline(c, m)
	case unreadable:
		k.unreadable(c, m)
	case leave:
		k.leave(c, m)
	case messengers.MessagesEnd:
		k.in.queue.last = true
		if k.box != nil {
			k.box.Last()
			k.admit()
			k.next(c)
		}
	case writeTick:
		k.timer = nil
		if k.box == nil {
			k.load(c)
		} else {
			k.write(c)
		}
	case dueTick:
		k.dueTimer = nil
		k.renew(c)
		k.box.Expire(supervisor.Now(c)) // also if only copiers wait
		k.giveAll(c)
	case supervisor.Done[loaded]:
		k.loaded(c, m)
	case supervisor.Done[marked]:
		k.handOver(c)
	case shelf:
		k.shelf(c)
	case retry:
		k.retry(c, m)
	case drop:
		k.drop(c, m)
	case supervisor.Done[wrote]:
		k.written(c, m.Value.synced, m.Err)
	default:
		supervisor.Unhandled(c)
		return
	}
	k.show()
}

func fromDHT(m *dht.Received) *KeptMessage {
	return &KeptMessage{
		From: m.From, Peer: m.Peer, Body: m.Body,
		DHT: &actors.OverDHT{Type: m.Type, Encrypted: m.Encrypted, Destination: m.Destination, Tag: m.Tag, Copies: m.Copies, Stored: m.Stored, Expires: m.Expires},
	}
}

// load begins to read the messages on the disk. Messages that arrive meanwhile wait.
func (k *keeper) load(c actor.Context) {
	k.busy = true
	store := k.in.store
	supervisor.Do(c, "load", func(context.Context) (loaded, error) { return store.load() })
}

func (k *keeper) loaded(c actor.Context, m supervisor.Done[loaded]) {
	k.busy = false
	k.health(c, m.Err)
	if m.Err != nil {
		k.after(c, k.pause())
		return
	}
	q := &k.in.queue
	box := NewBox(k.in.o.Limits)
	for _, topic := range k.in.expected {
		box.Expect(topic)
	}
	unread := slices.Collect(maps.Keys(q.copied)) // acknowledged messages that copiers have not read
	q.forget, q.copied, q.unnoted = q.forgotten(), make(map[uint64]struct{}), nil
	skip := make(map[uint64]bool, len(q.forget))
	for _, seq := range q.forget {
		skip[seq] = true
	}
	for _, x := range q.ready { // these may be on the disk already; they are written again
		skip[x.seq] = true
	}
	var there []outcomes.MessageID
	for _, e := range m.Value.entries {
		if id, ok := e.id.id(); ok {
			q.ids[e.seq] = e.id
			there = append(there, id)
		}
		if m.Value.acked[e.seq] {
			q.noted[e.seq] = struct{}{}
		}
		if skip[e.seq] {
			continue
		}
		if m.Value.acked[e.seq] {
			q.forget = append(q.forget, e.seq)
			continue
		}
		box.Load(e.seq, e.Entry)
		if t, ok := m.Value.tries[e.seq]; ok {
			q.marked[e.seq] = t
		}
		box.Tried(e.seq, said(m.Value.tries, m.Value.handed, e.seq, e.Topic))
	}
	q.handed = max(q.handed, m.Value.handed)
	if first := q.box == nil; first && k.in.senders != nil {
		k.in.senders.Loaded(there)
	}
	old := slices.Concat(q.ready, q.waiting) // items of an earlier incarnation
	if q.box != nil {
		box.Succeed(q.box, unread)
	}
	if q.last {
		box.Last()
	}
	k.box, q.box, k.in.damaged = box, box, m.Value.damaged
	if k.in.damaged > 0 {
		supervisor.Log(c).Warn("some messages of the inbox cannot be read and are left as they are", "n", k.in.damaged)
	}
	q.ready, q.waiting = nil, nil
	if q.next == 0 {
		q.next = m.Value.next
	}
	for _, x := range old {
		k.judge(x)
	}
	for _, x := range q.fresh {
		k.judge(x)
	}
	q.fresh = nil
	early, acks := k.waiting, k.early
	k.waiting, k.early = make(map[uint64]*puller), nil
	k.takeHandled(c)
	for _, p := range early {
		k.pull(c, p)
	}
	for _, a := range acks {
		k.ack(c, a)
	}
	k.settle(c)
	k.next(c)
}

// received adds a message to the inbox. Release returns the message's credit, and so does
// refuse, which a message over the DHT has for want of room.
func (k *keeper) received(c actor.Context, m *KeptMessage, release, refuse func()) {
	m.At = k.in.o.Wall()
	x := &item{peer: m.Peer, body: len(m.Body), record: appendRecord(make([]byte, 0, len(m.Body)+Overhead), m), id: markOf(m), release: release, refuse: refuse}
	x.entry = Entry{Size: len(x.record), At: m.At.UnixNano(), Over: sourcesOf(m), Topic: m.Topic}
	k.in.received.Add(1)
	if k.box == nil {
		k.in.queue.fresh = append(k.in.queue.fresh, x)
		return
	}
	k.judge(x)
	k.next(c)
}

// judge asks the box what to do with a message, and does it.
func (k *keeper) judge(x *item) {
	q := &k.in.queue
	if x.seq != 0 { // an earlier incarnation has admitted it
		k.box.Again(x.seq, x.entry)
		q.ready = append(q.ready, x)
		return
	}
	v, forget := k.box.Arrive(q.next, x.entry)
	switch v {
	case Admit:
		q.number(x, q.next)
		q.next++
		q.ready = append(q.ready, x)
	case Wait:
		q.waiting = append(q.waiting, x)
	case Drop:
		if x.entry.Over != nil {
			k.in.dropped.Add(1)
		}
		x.refuse()
	}
	k.forget(forget)
}

// admit numbers the waiting messages that have room now, and queues them to be written.
func (k *keeper) admit() {
	q := &k.in.queue
	seqs := k.box.Admitted(q.next)
	for i, seq := range seqs { // these are the first of waiting
		q.number(q.waiting[i], seq)
		q.next = seq + 1
	}
	n := len(seqs)
	q.ready = append(q.ready, q.waiting[:n]...)
	clear(q.waiting[:n])
	q.waiting = q.waiting[n:]
}

func (k *keeper) pull(c actor.Context, p *puller) {
	if k.box == nil {
		k.waiting[p.listener] = p
		return
	}
	if !k.box.Listen(p.listener, p.all, p.after, p.topic) {
		c.Send(p.from, pulled{refused: true})
		return
	}
	last := k.last[p.listener]
	switch {
	case last == nil || last.n < p.got:
		k.last[p.listener] = &answer{n: p.got}
	case last.n > p.got && last.to != nil: // the last answer is on its way
		last.to = p.from
		return
	case last.n > p.got: // the last answer did not arrive
		c.Send(p.from, last.pulled)
		return
	}
	k.waiting[p.listener] = p
	k.at[p.listener] = &place{p.at, p.at.Load()}
	k.give(c, p)
	k.watchDue(c)
	k.next(c)
}

// look notes what each listener is at. That is before [keeper.takeHandled]: a message that no listener is at any more is among those
// that were handled, or was not.
func (k *keeper) look() {
	for _, l := range k.at {
		l.is = l.at.Load()
	}
}

// renew leaves each listener the message that it is at, and what waits for it.
func (k *keeper) renew(c actor.Context) {
	for i := range k.handing {
		k.handing[i].renew(k.box, supervisor.Now(c))
	}
	for id, l := range k.at {
		if l.is > 0 {
			k.box.Renew(supervisor.Now(c), id, l.is)
		}
	}
}

// give answers a waiting pull, if there are messages for its listener.
func (k *keeper) give(c actor.Context, p *puller) {
	var r pulled
	if p.all {
		var forget []uint64
		r.seqs, r.lost, forget = k.box.Copy(p.listener, p.after, p.most)
		k.forget(forget)
	} else if q := &k.in.queue; len(q.forget)+len(q.unnoted) < batchForgets { // otherwise what is handled does not reach the disk
		k.renew(c)
		r.seqs = k.box.Pull(supervisor.Now(c), p.listener, p.most)
	}
	if len(r.seqs) == 0 {
		return
	}
	delete(k.waiting, p.listener)
	k.turn = p.listener
	last := k.last[p.listener]
	if p.all {
		last.n, last.pulled = last.n+1, r
		c.Send(p.from, r)
		return
	}
	k.hand(c, p, last, r)
}

// giveAll answers all waiting pulls for whose listeners there are messages.
func (k *keeper) giveAll(c actor.Context) {
	ids := slices.Sorted(maps.Keys(k.waiting))
	at, _ := slices.BinarySearch(ids, k.turn+1)
	for i := range ids {
		k.give(c, k.waiting[ids[(at+i)%len(ids)]])
	}
	k.watchDue(c)
}

// watchDue sets the timer for the time when a message has been in hand for too long, or has rested, so
// that waiting listeners get it.
func (k *keeper) watchDue(c actor.Context) {
	if len(k.waiting) == 0 || k.box == nil {
		return
	}
	at, ok := k.box.Due()
	if !ok || k.dueTimer != nil && !at.Before(k.dueAt) {
		return
	}
	if k.dueTimer != nil {
		k.dueTimer.Stop()
	}
	k.dueAt = at
	k.dueTimer = supervisor.After(c, max(0, at.Sub(supervisor.Now(c)))+time.Millisecond, dueTick{})
}

func (k *keeper) ack(c actor.Context, m acker) {
	if k.box == nil {
		k.early = append(k.early, m)
		return
	}
	k.acks = append(k.acks, reply{m.from, acked{}})
	k.acknowledge(c, m.seqs)
}

// acknowledge takes messages out of the box, and queues their deletion. Of those that are kept for copiers it queues that the disk says so.
func (k *keeper) acknowledge(c actor.Context, seqs []uint64) {
	forget, copied := k.box.Ack(seqs)
	k.in.acked.Add(uint64(len(forget) + len(copied)))
	for _, seq := range copied {
		k.in.queue.copied[seq] = struct{}{}
	}
	k.in.queue.unnoted = append(k.in.queue.unnoted, copied...)
	k.forget(forget)
	k.settle(c)
	k.giveAll(c) // the listener may have more in hand now
	k.next(c)
}

// takeHandled acknowledges what was handled.
func (k *keeper) takeHandled(c actor.Context) {
	seqs := k.in.handled.list()
	if len(seqs) == 0 || k.box == nil {
		return
	}
	k.owing = true
	k.acknowledge(c, seqs)
	k.in.handled.done(len(seqs))
}

// settle answers the awaits whose condition holds now, and logs what has come to the shelf.
func (k *keeper) settle(c actor.Context) {
	if k.box == nil {
		return
	}
	dead := k.box.shelf.messages
	if dead > k.dead {
		supervisor.Log(c).Warn("messages failed at their last attempt and are put aside on the shelf of the inbox", "n", dead-k.dead, "shelf", dead)
	}
	k.dead = dead
	q := &k.in.queue
	q.awaits = slices.DeleteFunc(q.awaits, func(a awaiter) bool {
		hands, listens := k.box.Hands(a.listener)
		if listens && (a.left || hands >= a.below) {
			return false
		}
		c.Send(a.from, handsFree{hands})
		return true
	})
}

func (k *keeper) decline(c actor.Context, m decline) {
	if k.box == nil { // no message is in hand
		return
	}
	k.box.Decline(supervisor.Now(c), m.listener, m.seq)
	k.settle(c)
	k.giveAll(c) // the listener may have more in hand now, and others may have this one
}

// unreadable takes a message out of the box, and leaves its record on the disk. The next start
// finds it again.
func (k *keeper) unreadable(c actor.Context, m unreadable) {
	if k.box == nil || !k.box.Damaged(m.seq) {
		return
	}
	k.in.damaged++
	if id, ok := k.in.queue.ids[m.seq].id(); ok && k.in.senders != nil {
		k.in.senders.Lost([]outcomes.MessageID{id})
	}
	delete(k.in.queue.ids, m.seq)
	supervisor.Log(c).Warn("a message of the inbox cannot be read and is left as it is", "seq", m.seq)
	k.forget(nil) // others may have its room
	k.settle(c)
	k.giveAll(c)
	k.next(c)
}

func (k *keeper) leave(c actor.Context, m leave) {
	if last := k.last[m.listener]; last != nil && last.n > m.got { // on its way
		m.rest = last.seqs
	}
	delete(k.waiting, m.listener)
	delete(k.last, m.listener)
	delete(k.at, m.listener)
	if k.box == nil {
		if before := k.in.queue.box; before != nil {
			before.Leave(m.listener)
		}
		return
	}
	k.box.Untouched(m.listener, m.rest)
	if m.finished {
		k.forget(k.box.Finish(supervisor.Now(c), m.listener))
	} else {
		k.forget(k.box.Leave(m.listener))
	}
	k.settle(c)
	k.giveAll(c)
	k.next(c)
}

// forget queues messages to be deleted, and admits waiting messages to the freed room.
func (k *keeper) forget(seqs []uint64) {
	q := &k.in.queue
	for _, seq := range seqs {
		delete(q.copied, seq)
	}
	q.forget = append(q.forget, seqs...)
	k.admit()
}

// write begins a write unless one is under way.
func (k *keeper) write(c actor.Context) {
	if k.busy {
		return
	}
	k.halt()
	var changes []change
	changes, k.items, k.notes, k.forgets = k.in.queue.batch()
	q := &k.in.queue
	k.writing = q.news(q.ready[:k.items], slices.Concat(q.unnoted[:k.notes], q.forget[:k.forgets]))
	var waits bool
	changes, waits = k.in.remember(changes, &k.writing)
	k.answering = 0
	if k.notes == len(q.unnoted) && k.forgets == len(q.forget) {
		k.answering = len(k.acks)
	}
	if marks := k.atOnce(); len(marks) > 0 {
		changes = append(changes, marks...)
		waits = true
	}
	sync := k.answering > 0 || k.owing || waits || supervisor.Now(c).Sub(k.synced) >= syncEvery
	k.busy = true
	store := k.in.store
	supervisor.Do(c, "write", func(context.Context) (wrote, error) {
		synced, err := store.write(changes, sync)
		return wrote{synced}, err
	})
}

// atOnce returns what the write under way says of its messages that are handed out as soon as it has ended: listeners of
// their topic wait for them.
func (k *keeper) atOnce() (marks []change) {
	k.ahead = 0
	if k.in.store.marks == nil {
		return nil
	}
	room := make(map[string]int)
	for _, p := range k.waiting {
		if !p.all {
			room[p.topic] += p.most
		}
	}
	q := &k.in.queue
	for _, x := range q.ready[:k.items] {
		topic := x.entry.Topic
		if room[topic]--; room[topic] < 0 {
			break
		}
		switch {
		case topic != "":
			marks = append(marks, q.mark(x.seq, Tries{N: 1}))
		case x.seq > q.handed:
			k.ahead = x.seq
		}
	}
	if k.ahead > 0 {
		marks = append(marks, handedChange(k.ahead))
	}
	return marks
}

func (k *keeper) written(c actor.Context, synced bool, err error) {
	k.busy = false
	k.health(c, err)
	if err != nil {
		k.after(c, k.pause())
		return
	}
	if synced {
		k.synced = supervisor.Now(c)
	}
	q := &k.in.queue
	k.owing = k.owing && (len(q.unnoted) > k.notes || len(q.forget) > k.forgets)
	q.handed = max(q.handed, k.ahead)
	q.untold.add(k.writing)
	if k.writing = (news{}); synced {
		k.in.tellSenders(q.untold)
		q.untold = news{}
	}
	seqs := q.written(k.items, k.notes, k.forgets)
	k.box.Written(seqs)
	for _, r := range k.acks[:k.answering] {
		c.Send(r.to, r.answer)
	}
	k.acks = k.acks[k.answering:]
	if len(seqs) > 0 || k.notes > 0 || k.forgets > 0 {
		k.giveAll(c)
	}
	k.next(c)
}

// next begins or schedules the next write, if there is something to write or sync.
func (k *keeper) next(c actor.Context) {
	q := &k.in.queue
	switch {
	case k.busy || k.box == nil:
	case k.fails > 0:
		if k.timer == nil {
			k.after(c, k.pause())
		}
	case len(q.ready) > 0 || len(q.unnoted) > 0 || len(q.forget) > 0 || len(k.acks) > 0:
		k.write(c)
	case k.in.store.unsynced.Load() && k.timer == nil:
		k.after(c, max(0, k.synced.Add(syncEvery).Sub(supervisor.Now(c))))
	}
}

func (k *keeper) after(c actor.Context, d time.Duration) {
	k.halt()
	k.timer = supervisor.After(c, d, writeTick{})
}

func (k *keeper) halt() {
	if k.timer != nil {
		k.timer.Stop()
		k.timer = nil
	}
}

func (k *keeper) pause() time.Duration { return backoff.Doubled(k.fails, retryFirst, retryMost) }

// health records the result of a write or a load, and logs when it changes.
func (k *keeper) health(c actor.Context, err error) {
	switch {
	case err != nil:
		if k.err == nil || k.err.Error() != err.Error() {
			supervisor.Log(c).Error("the inbox cannot be written or read; senders wait, and it is tried again", "err", err)
		}
		if k.fails++; k.fails == 1 {
			k.since = supervisor.Now(c)
			k.tellFull(c, true)
		}
	case k.fails > 0:
		supervisor.Log(c).Info("the inbox can be written again", "took", supervisor.Now(c).Sub(k.since))
		k.fails = 0
		k.tellFull(c, false)
	}
	k.err = err
}

// tellFull tells connected nodes whether messages to this one wait for the disk.
func (k *keeper) tellFull(c actor.Context, full bool) {
	k.in.trunk.SetFull(full)
	supervisor.Publish(c, users.ProtocolsChanged{})
}

// show publishes the inbox's status.
func (k *keeper) show() {
	s := actors.InboxStatus{MaxBytes: k.in.o.Bytes, MaxMessages: k.in.o.Messages, Received: k.in.received.Load(), Acked: k.in.acked.Load(), Damaged: k.in.damaged, Err: k.err}
	q := &k.in.queue
	if k.box != nil {
		s.InboxLevel, s.Full = k.box.Level(), k.box.Full()
	} else {
		s.Loading = true
		for _, list := range [][]*item{q.fresh, q.waiting, q.ready} {
			for _, x := range list {
				s.Waiting++
				s.WaitingBytes += int64(len(x.record))
			}
		}
	}
	s.Dropped = k.in.dropped.Load()
	k.in.status.Store(&s)
}

// String is the keeper's line in the tree.
func (k *keeper) String() string {
	s := k.in.Status()
	line := fmt.Sprintf("%s messages received, %s kept", inspect.Number(s.Received), inspect.Number(uint64(s.Messages)))
	if s.Received == 1 {
		line = fmt.Sprintf("1 message received, %s kept", inspect.Number(uint64(s.Messages)))
	}
	if s.InHand > 0 {
		line += fmt.Sprintf(", %s in progress", inspect.Number(uint64(s.InHand)))
	}
	switch n := s.Listeners + s.Copies; n {
	case 0:
		line += ", nobody listens"
	case 1:
		line += ", 1 listener"
	default:
		line += fmt.Sprintf(", %d listeners", n)
	}
	if s.Waiting > 0 {
		line += fmt.Sprintf(", %s wait for room", inspect.Number(uint64(s.Waiting)))
	}
	if s.Err != nil {
		line += ", " + s.Err.Error()
	}
	return line
}
