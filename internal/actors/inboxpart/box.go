package inboxpart

import (
	"cmp"
	"maps"
	"slices"
	"sort"
	"time"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/config"
)

// Limits bound the messages that an inbox keeps. Bytes counts records: each is a body
// and at most [Overhead] bytes of other fields.
type Limits struct {
	Bytes    int64
	Messages int
	// Attempts is how often a message is handed out before it goes to the shelf; 0: there is no limit.
	Attempts int
	// DHT says that messages over the DHT are kept beside plain ones. Then each kind leaves
	// a quarter of the room to the other one: see [Limits.OfKind].
	DHT bool
}

// OfKind returns how many messages, and bytes of them, plain messages may take together, and
// likewise messages over the DHT.
func (l Limits) OfKind() (messages int, bytes int64) {
	if !l.DHT {
		return l.Messages, l.Bytes
	}
	return l.Messages - l.Messages/4, l.Bytes - l.Bytes/4
}

// Least returns how many Bytes give a record of n bytes room in an empty box. The first message
// over the DHT of a peer or author may have half of what such messages may take together.
func Least(n int64, dht bool) int64 {
	return config.InboxLeast(int(n)-Overhead, dht)
}

// Overhead is the maximum length of a record without its body, in bytes.
const Overhead = config.InboxOverhead

// Limits of one listener.
const (
	windowMessages = 4096    // messages in hand
	windowBytes    = 4 << 20 // bytes in hand, or one larger message
	// HandTimeout is how long a listener may have a message in hand without
	// acknowledging it. After that another listener gets it.
	HandTimeout = time.Minute
	// AckGrace is how long messages stay in the hand of a listener that has ended
	// because it got all the messages it had asked for.
	AckGrace = 10 * time.Second
	// MaxListeners bounds the number of listeners at a time, of the program's functions and loops and of others.
	MaxListeners = 256
)

// Verdict is the decision about a message that arrives.
type Verdict int

// Verdicts.
const (
	Admit Verdict = iota // write the message
	Wait                 // there is no room: the message keeps its credit until there is some
	Drop                 // there is no room for it, and a message over the DHT does not wait
)

// Box decides which messages are kept, and in which order and to which listener they are
// handed out. It is pure: it knows of each message only its number, size and time, and of a
// message over the DHT its sources. Numbers grow with each message. A Box is not safe for
// concurrent use.
//
// A plain message without room waits and gets its number when there is some. A message over
// the DHT cannot wait: its credit is also that of the network's own messages. So there is room
// for it as long as its sources have not more than their shares, whatever others send. A message
// that was admitted makes way for none.
//
// A listener either shares: it takes messages in hand until they are acknowledged. Or it
// is a copier: it is told of all messages and takes none in hand.
type Box struct {
	limits  Limits
	last    bool             // see Last
	list    []entry          // ascending by number; entries that are gone stay until compact
	cut     int              // how many entries of list are gone
	lanes   map[string]*lane // topics that listeners have or had, and those that are expected
	topics  map[string]load  // messages of each topic that are not acknowledged
	untaken load             // of topics without a lane
	oldest  int              // all entries of list before this index are gone or read

	plain  load    // plain messages that are not acknowledged
	over   overDHT // those over the DHT
	read   load    // entries that are acknowledged and wanted by copiers
	queue  []Entry // plain messages without room
	queued load    // of queue

	hands     map[uint64]hand // messages in hand, by number
	handed    []handed        // by due time; some are no longer in hand
	rests     []handed        // messages that were declined and rest, by the time of their end; some are no longer
	shelf     load
	shelfOf   map[string]int // messages on the shelf by topic
	suspect   uint64         // the suspect in hand that is not overdue; 0: there is none
	listeners map[uint64]*listener
	copiers   map[uint64]*copier // by listener; includes copiers of an earlier box

	copies  int // listeners that are copiers
	dropped uint64
}

// Entry is what the box is told of a message.
type Entry struct {
	Size  int
	At    int64  // nanoseconds since 1970, of the wall clock
	Over  *Over  // nil: it is a plain message
	Topic string // empty: it has none
}

// maxLanes bounds the topics that are remembered when their last listener has gone.
const maxLanes = 64

// lane is where listeners of a topic are.
type lane struct {
	from      int // no entry of the topic before this index is free to be handed out
	listeners int
	overdue   map[uint64]uint64 // from an overdue message to the listener that has it
}

type entry struct {
	seq   uint64
	at    int64
	size  int
	topic string
	from  sources
	state state
	tries uint8 // how often it was handed out, at most maxTries
	own   bool  // it was declined, or handed out alone: its attempts count for the shelf
	tried bool  // so it was when the box was loaded, suspectAfter times or more
}

type state uint8

const (
	writing state = iota // it is not on the disk yet
	kept                 // it is on the disk, and free to be handed out
	inHand               // a listener has it
	resting              // it was declined, and is not handed out for a while
	dead                 // it is on the shelf
	read                 // it is acknowledged; copiers still want it
	gone                 // it is deleted
)

type hand struct {
	listener uint64
	size     int
	due      time.Time
}

type handed struct {
	seq uint64
	due time.Time
}

// listener is the state of one listener.
type listener struct {
	*copier // nil: the listener shares
	topic   string
	hands   int
	bytes   int64
	overdue int // of those in hand
}

// copier is the state of a listener that copies all messages.
type copier struct {
	after uint64 // it is done with all messages up to this number
	given uint64 // it was told of all messages up to this number
	lost  uint64 // how many messages it was never told of, in all
}

// keptCopiers bounds the remembered copiers. These include copiers of an earlier box that
// have not listened since.
const keptCopiers = 2 * MaxListeners

// NewBox returns an empty box.
func NewBox(l Limits) *Box {
	return &Box{
		limits: l, hands: make(map[uint64]hand), listeners: make(map[uint64]*listener),
		copiers: make(map[uint64]*copier), over: newOverDHT(), lanes: make(map[string]*lane), topics: make(map[string]load), shelfOf: make(map[string]int),
	}
}

// Load adds a message that is on the disk. It is called before
// all other methods, with growing numbers. The messages may exceed the limits, which may have
// been larger before.
func (b *Box) Load(seq uint64, e Entry) { b.enter(seq, e, kept) }

// Again adds a message that an earlier box has admitted, and that may not be on the disk. It is
// called after Load, with growing numbers.
func (b *Box) Again(seq uint64, e Entry) { b.enter(seq, e, writing) }

// Arrive returns what to do with a message. If it is admitted, it
// gets the number seq, which must be above all others. Forget is the messages to delete to make
// room: acknowledged ones that only copiers still wanted.
func (b *Box) Arrive(seq uint64, e Entry) (v Verdict, forget []uint64) {
	switch {
	case e.Over != nil && !b.over.mayAdd(e.Over, e.Size, b.vacant()):
		b.dropped++
		return Drop, nil
	case e.Topic != "" && !b.mayAdd(e):
		return Drop, nil
	case e.Over == nil && (len(b.queue) > 0 || !b.fits(e.Size)):
		b.queue = append(b.queue, e)
		b.queued.add(e.Size)
		return Wait, b.forgetRead(0)
	}
	forget = b.forgetRead(e.Size)
	b.enter(seq, e, writing)
	return Admit, forget
}

// enter adds an entry and counts it.
func (b *Box) enter(seq uint64, m Entry, s state) {
	e := entry{seq: seq, at: m.At, size: m.Size, topic: m.Topic, from: sources{none, none}, state: s}
	b.countTopic(m.Topic, 1, m.Size)
	if m.Over == nil {
		b.plain.add(m.Size)
	} else {
		e.from = b.over.add(m.Over, m.Size)
	}
	b.list = append(b.list, e)
}

// discount no longer counts an entry that is not acknowledged.
func (b *Box) discount(e *entry) {
	b.countTopic(e.topic, -1, -e.size)
	if e.from.peer == none {
		b.plain.remove(e.size)
	} else {
		b.over.remove(e.from, e.size)
	}
}

// all is the room of the box, and ofKind the part of it that plain messages may have, or those
// over the DHT.
func (b *Box) all() load { return load{b.limits.Messages, b.limits.Bytes} }

func (b *Box) ofKind() load {
	messages, bytes := b.limits.OfKind()
	return load{messages, bytes}
}

// Last says that the node stops, and that only messages come that were confirmed already. Plain
// ones are admitted without room, and take none from those over the DHT.
func (b *Box) Last() { b.last = true }

// fits reports whether there is room for one more plain message. The only plain message may
// have all that messages over the DHT leave, and the only message of an empty box any size.
func (b *Box) fits(size int) bool {
	own, all := b.plain.with(size), b.plain.plus(b.over.load)
	return b.last || all == load{} || all.with(size).within(b.all()) && (b.plain == load{} || own.within(b.ofKind()))
}

// vacant returns the room that is free for messages over the DHT. The first plain message that
// waits has a claim to its room, unless plain messages have their part already.
func (b *Box) vacant() load {
	if b.last {
		return b.ofKind().minus(b.over.load)
	}
	plain := b.plain
	if len(b.queue) > 0 {
		if next := plain.with(b.queue[0].Size); plain == (load{}) || next.within(b.ofKind()) {
			plain = next
		}
	}
	return b.ofKind().minus(b.over.load).least(b.all().minus(plain).minus(b.over.load))
}

// forgetRead removes the oldest messages that only copiers want until there is room for a
// message of that size, or for a size of 0 all of them.
func (b *Box) forgetRead(size int) (forget []uint64) {
	for i := 0; i < len(b.list) && b.read.messages > 0; i++ {
		if size > 0 && b.plain.plus(b.over.load).plus(b.read).with(size).within(b.all()) {
			break
		}
		if b.list[i].state != read {
			continue
		}
		seq := b.list[i].seq
		b.miss(seq)
		forget = append(forget, seq)
		b.remove(i)
	}
	b.compact()
	return forget
}

// miss counts a deleted message as lost for the copiers that were not told of it. A
// copier that was told of it and reads it too late notices the loss itself.
func (b *Box) miss(seq uint64) {
	for _, c := range b.copiers {
		if max(c.after, c.given) < seq {
			c.lost++
		}
	}
}

// Succeed takes over the copiers of an earlier box. It is called before the first
// message arrives. Such a copier is no listener until it listens again; messages that are
// deleted until then count as lost for it, and so do the deleted ones given.
func (b *Box) Succeed(before *Box, deleted []uint64) {
	b.copiers = before.copiers
	for _, seq := range deleted {
		b.miss(seq)
	}
}

// Written records that messages are on the disk and may be handed out.
func (b *Box) Written(seqs []uint64) {
	for _, seq := range seqs {
		if i, ok := b.find(seq); ok && b.list[i].state == writing {
			b.isFree(i)
		}
	}
}

// Topic returns the topic of a message.
func (b *Box) Topic(seq uint64) string {
	if i, ok := b.find(seq); ok {
		return b.list[i].topic
	}
	return ""
}

// Listen adds a listener, unless the box has it. With all, the listener copies all
// messages with numbers above after; without all, it shares those that have the topic, or none. Listen returns false if there
// are too many listeners.
func (b *Box) Listen(id uint64, all bool, after uint64, topic string) bool {
	if b.listeners[id] != nil {
		return true
	}
	if len(b.listeners) == MaxListeners {
		return false
	}
	l := &listener{topic: topic}
	b.listeners[id] = l
	if !all {
		b.Expect(topic)
		b.lanes[topic].listeners++
	}
	if all {
		b.copies++
		l.copier = b.copier(id, after)
	}
	return true
}

// copier returns the state of a copier, and adds it if it is new.
func (b *Box) copier(id, after uint64) *copier {
	c := b.copiers[id]
	if c == nil {
		if len(b.copiers) >= keptCopiers {
			maps.DeleteFunc(b.copiers, func(id uint64, _ *copier) bool { return b.listeners[id] == nil })
		}
		c = new(copier)
		b.copiers[id] = c
	}
	c.after = max(c.after, after)
	return c
}

// Pull hands out at most that many messages to a listener, in order: messages that no
// listener has in hand, and messages that another listener has for too long. The other listener keeps those
// that this one does not take.
func (b *Box) Pull(now time.Time, id uint64, most int) (seqs []uint64) {
	l := b.listeners[id]
	if l == nil || l.copier != nil {
		return nil
	}
	b.Expire(now)
	if b.suspect != 0 && b.hands[b.suspect].listener == id {
		return nil
	}
	if most = min(most, windowMessages-l.hands); most <= 0 {
		return nil
	}
	first := true // no free message was skipped
	lane := b.lanes[l.topic]
	i, overdue := b.firstOverdue(lane, id)
	for i = min(i, lane.from); i < len(b.list) && len(seqs) < most; i++ {
		e := &b.list[i]
		if e.state == writing {
			break
		}
		late := overdue && lane.mayTake(e.seq, id)
		free := e.topic == l.topic && (e.state == kept || late)
		suspect := e.tried || late && b.spent(e)
		if free && suspect && b.suspect != 0 {
			first = false
			continue
		}
		if free && suspect && l.hands > l.overdue {
			break
		}
		if free && l.hands > 0 && l.bytes+int64(e.size) > windowBytes {
			break
		}
		if late {
			b.free(e.seq)
			free = e.state == kept // otherwise it is on the shelf now
		}
		if free {
			e.state = inHand
			due := now.Add(HandTimeout)
			b.hands[e.seq] = hand{id, e.size, due}
			b.handed = append(b.handed, handed{e.seq, due})
			l.hands++
			l.bytes += int64(e.size)
			if e.tries < maxTries {
				e.tries++
			}
			e.own = e.own || e.tried && l.hands == 1
			seqs = append(seqs, e.seq)
		}
		if first {
			lane.from = max(lane.from, i+1)
		}
		if free && e.tried {
			b.suspect = e.seq
			break
		}
	}
	return seqs
}

// Copy returns the next messages for a copier, which is done with all messages up to
// after. Lost is how many messages it was never told of so far, because they were deleted
// to make room. Forget is the messages to delete because no copier wants them any more.
func (b *Box) Copy(id, after uint64, most int) (seqs []uint64, lost uint64, forget []uint64) {
	l := b.listeners[id]
	if l == nil || l.copier == nil {
		return nil, 0, nil
	}
	l.after = max(l.after, after)
	forget = b.release()
	size := int64(0)
	i, _ := b.find(l.after + 1)
	for ; i < len(b.list) && len(seqs) < min(most, windowMessages); i++ {
		e := &b.list[i]
		if e.state == writing {
			break
		}
		if e.state == gone {
			continue
		}
		if size += int64(e.size); size > windowBytes && len(seqs) > 0 {
			break
		}
		seqs = append(seqs, e.seq)
	}
	if len(seqs) > 0 {
		l.given = max(l.given, seqs[len(seqs)-1])
	}
	return seqs, l.lost, forget
}

// Ack acknowledges messages, whichever listener has them. Forget is the messages to
// delete. Copied is the messages that stay for copiers alone; there are none while
// messages wait for room.
func (b *Box) Ack(seqs []uint64) (forget, copied []uint64) {
	least, any := b.least()
	for _, seq := range seqs {
		i, ok := b.find(seq)
		if !ok || b.list[i].state == writing || b.list[i].state == read {
			continue
		}
		b.drop(seq)
		b.unshelve(i)
		if any && least < seq && len(b.queue) == 0 {
			b.discount(&b.list[i])
			b.list[i].state = read
			b.read.add(b.list[i].size)
			copied = append(copied, seq)
			continue
		}
		b.miss(seq)
		b.remove(i)
		forget = append(forget, seq)
	}
	b.compact()
	return forget, copied
}

// Damaged removes a message that cannot be read. It returns false if the message is not there, or is
// being written.
func (b *Box) Damaged(seq uint64) bool {
	i, ok := b.find(seq)
	if !ok || b.list[i].state == writing {
		return false
	}
	b.drop(seq)
	b.unshelve(i)
	b.miss(seq)
	b.remove(i)
	b.compact()
	return true
}

// Admitted returns the numbers of the waiting messages that have room now, in order: next, which
// must be above all others, and those that follow it. The caller writes the messages.
func (b *Box) Admitted(next uint64) (seqs []uint64) {
	n := 0
	for ; n < len(b.queue) && b.fits(b.queue[n].Size); n++ {
		w := b.queue[n]
		b.enter(next, w, writing)
		b.queued.remove(w.Size)
		seqs = append(seqs, next)
		next++
	}
	if b.queue = b.queue[n:]; len(b.queue) == 0 {
		b.queue = nil
	}
	return seqs
}

// Hands returns how many messages a listener has in hand. Listens reports whether there
// is such a listener.
func (b *Box) Hands(id uint64) (n int, listens bool) {
	if l := b.listeners[id]; l != nil {
		return l.hands, true
	}
	return 0, false
}

// Leave removes a listener: the messages that it had in hand are free again. Forget is
// the messages to delete because only that listener still wanted them.
func (b *Box) Leave(id uint64) (forget []uint64) {
	delete(b.copiers, id)
	l := b.listeners[id]
	if l == nil {
		return nil
	}
	if l.copier != nil {
		b.end(id, l)
		b.copies--
		return b.release()
	}
	for seq, h := range b.hands {
		if h.listener == id {
			if i, ok := b.find(seq); ok { // it was begun: see Untouched
				b.list[i].own = true
			}
			b.free(seq)
		}
	}
	b.end(id, l)
	return nil
}

// end removes a listener, and its lane with the last one.
func (b *Box) end(id uint64, l *listener) {
	delete(b.listeners, id)
	if l.copier != nil {
		return
	}
	lane := b.lanes[l.topic]
	if lane.listeners--; lane.listeners == 0 && len(b.lanes) > maxLanes {
		delete(b.lanes, l.topic)
		b.untaken = b.untaken.plus(b.topics[l.topic])
	}
}

// Expect says that messages of a topic have a listener, or will have one.
func (b *Box) Expect(topic string) {
	if b.lanes[topic] == nil {
		b.lanes[topic] = new(lane)
		if topic != "" {
			b.untaken = b.untaken.minus(b.topics[topic])
		}
	}
}

// mayAdd reports whether there is room for a message of a topic. Those of topics that nobody has listened to may have a quarter of
// what plain messages may: whoever sends them could fill the inbox.
func (b *Box) mayAdd(e Entry) bool {
	if b.lanes[e.Topic] != nil || b.last {
		return true
	}
	quarter := b.ofKind().part(4)
	quarter.messages = max(1, quarter.messages)
	return b.untaken.with(e.Size).within(quarter)
}

// untakenNow counts messages of topics that have no listener now, of some topics, without those on the shelf.
func (b *Box) untakenNow() (of map[string]int) {
	seen := 0
	for topic, l := range b.topics {
		if seen++; len(of) == maxUntaken || seen > maxLanes {
			break
		}
		n := l.messages - b.shelfOf[topic]
		if lane := b.lanes[topic]; n > 0 && (lane == nil || lane.listeners == 0) {
			if of == nil {
				of = make(map[string]int)
			}
			of[topic] = n
		}
	}
	return of
}

// maxUntaken bounds the topics that are shown.
const maxUntaken = 8

// countTopic counts messages that are not acknowledged.
func (b *Box) countTopic(topic string, n, size int) {
	if topic == "" {
		return
	}
	change := load{n, int64(size)}
	of := b.topics[topic].plus(change)
	if b.topics[topic] = of; of.messages == 0 {
		delete(b.topics, topic)
	}
	if b.lanes[topic] == nil {
		b.untaken = b.untaken.plus(change)
	}
}

// isFree has a message be handed out.
func (b *Box) isFree(i int) {
	e := &b.list[i]
	e.state = kept
	if lane := b.lanes[e.topic]; lane != nil {
		lane.from = min(lane.from, i)
	}
}

// Finish removes a listener that got all messages it had asked for. The messages in its
// hand stay there for at most another AckGrace, because its last acknowledgement may be
// on its way. A copier is removed as by Leave; forget is as for Leave.
func (b *Box) Finish(now time.Time, id uint64) (forget []uint64) {
	l := b.listeners[id]
	if l == nil || l.copier != nil {
		return b.Leave(id)
	}
	due := now.Add(AckGrace)
	for seq, h := range b.hands {
		if h.listener == id && (b.inTime(seq, id) || h.due.After(due)) {
			h.due = due
			b.hands[seq] = h
			b.handed = append(b.handed, handed{seq, due})
		}
	}
	b.end(id, l)
	slices.SortStableFunc(b.handed, func(a, c handed) int { return cmp.Or(a.due.Compare(c.due), cmp.Compare(a.seq, c.seq)) })
	return nil
}

// Renew reports whether a listener has a message in hand. Then it may have it for another [HandTimeout].
func (b *Box) Renew(now time.Time, id, seq uint64) bool {
	h, ok := b.hands[seq]
	if !ok || h.listener != id {
		return false
	}
	if due := now.Add(HandTimeout); h.due.Before(now.Add(HandTimeout / 2)) {
		b.inTime(seq, id)
		h.due = due
		b.hands[seq] = h
		b.handed = append(b.handed, handed{seq, due})
	}
	return true
}

// Due returns when the next message will have been in hand, or will have rested, for long enough.
func (b *Box) Due() (at time.Time, ok bool) {
	b.tidy()
	if len(b.handed) > 0 {
		at, ok = b.handed[0].due, true
	}
	if len(b.rests) > 0 && (!ok || b.rests[0].due.Before(at)) {
		at, ok = b.rests[0].due, true
	}
	return at, ok
}

// tidy removes entries from the front of handed that are no longer in hand.
func (b *Box) tidy() {
	n := 0
	for n < len(b.handed) {
		h, ok := b.hands[b.handed[n].seq]
		if ok && h.due.Equal(b.handed[n].due) {
			break
		}
		n++
	}
	b.handed = b.handed[n:]
	if len(b.handed) > 2*len(b.hands)+mostStale { // one that is in hand for long keeps them
		b.handed = slices.DeleteFunc(b.handed, func(x handed) bool {
			h, ok := b.hands[x.seq]
			return !ok || !h.due.Equal(x.due)
		})
	}
}

// mostStale is how many more entries than twice those that count handed may have.
const mostStale = 1024

// free takes a message out of the hand it is in.
func (b *Box) free(seq uint64) {
	b.drop(seq)
	if i, ok := b.find(seq); ok && b.list[i].state == inHand {
		b.settle(i)
	}
}

// drop records that no listener has a message in hand.
func (b *Box) drop(seq uint64) {
	h, ok := b.hands[seq]
	if !ok {
		return
	}
	delete(b.hands, seq)
	if b.suspect == seq {
		b.suspect = 0
	}
	if l := b.listeners[h.listener]; l != nil {
		b.inTime(seq, h.listener)
		l.hands--
		l.bytes -= int64(h.size)
	}
}

// least returns the number up to which every copier is done; copied is false if there is
// no copier.
func (b *Box) least() (least uint64, copied bool) {
	for _, l := range b.listeners {
		if l.copier != nil && (!copied || l.after < least) {
			least, copied = l.after, true
		}
	}
	return least, copied
}

// release removes acknowledged messages that no copier wants any more.
func (b *Box) release() (forget []uint64) {
	least, copied := b.least()
	for i := 0; i < len(b.list) && b.read.messages > 0; i++ {
		e := &b.list[i]
		if copied && e.seq > least {
			break
		}
		if e.state == read {
			forget = append(forget, e.seq)
			b.remove(i)
		}
	}
	b.compact()
	return forget
}

// find returns the index of a number in list, or the index where it would be, and whether
// the message is there and not gone.
func (b *Box) find(seq uint64) (int, bool) {
	i := sort.Search(len(b.list), func(i int) bool { return b.list[i].seq >= seq })
	return i, i < len(b.list) && b.list[i].seq == seq && b.list[i].state != gone
}

// remove marks an entry as gone and no longer counts it; compact removes it from list later.
func (b *Box) remove(i int) {
	e := &b.list[i]
	if e.state == read {
		b.read.remove(e.size)
	} else {
		b.discount(e)
	}
	e.state = gone
	b.cut++
}

func (b *Box) compact() {
	n := 0
	for n < len(b.list) && b.list[n].state == gone {
		n++
	}
	b.list, b.cut, b.oldest = b.list[n:], b.cut-n, max(0, b.oldest-n)
	for _, lane := range b.lanes {
		lane.from = max(0, lane.from-n)
	}
	if b.cut > 1024 && b.cut > len(b.list)/2 {
		b.list = slices.DeleteFunc(slices.Clone(b.list), func(e entry) bool { return e.state == gone })
		b.cut, b.oldest = 0, 0
		for _, lane := range b.lanes {
			lane.from = 0
		}
	}
}

// Level returns how full the box is. All calls together pass each acknowledged message
// once, so the cost does not grow with the messages that only copiers want.
func (b *Box) Level() actors.InboxLevel {
	all := b.plain.plus(b.over.load)
	v := actors.InboxLevel{
		Messages: all.messages, Bytes: all.bytes + b.read.bytes, DHT: b.over.messages, DHTBytes: b.over.bytes,
		InHand: len(b.hands), Dead: b.shelf.messages, Waiting: b.queued.messages, WaitingBytes: b.queued.bytes, Dropped: b.dropped,
		Listeners: len(b.listeners) - b.copies, Copies: b.copies,
	}
	v.Untaken = b.untakenNow()
	for b.oldest < len(b.list) && (b.list[b.oldest].state == gone || b.list[b.oldest].state == read) {
		b.oldest++ // neither state ever counts again
	}
	if b.oldest < len(b.list) {
		v.Oldest = b.list[b.oldest].at
	}
	if len(b.queue) > 0 && (v.Oldest == 0 || b.queue[0].At < v.Oldest) {
		v.Oldest = b.queue[0].At
	}
	return v
}

// Full reports whether plain messages have to wait for room.
func (b *Box) Full() bool {
	return len(b.queue) > 0 || b.plain.reaches(b.ofKind()) || b.plain.plus(b.over.load).reaches(b.all())
}
