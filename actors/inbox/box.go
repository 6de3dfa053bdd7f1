package inbox

import (
	"cmp"
	"maps"
	"slices"
	"sort"
	"time"
)

// Limits bound what an inbox keeps. Bytes are those of records: bodies with
// what is known of them, at most 128 bytes each.
type Limits struct {
	Bytes    int64
	Messages int
}

// Overhead is the most that a record has beside the body.
const Overhead = 128

// What one listener may have in hand, and for how long before others may have
// it too.
const (
	windowMessages = 4096
	windowBytes    = 4 << 20 // or one message
	// HandTimeout is how long a message stays with the listener that has it and
	// does not acknowledge it. Then another listener gets it.
	HandTimeout = time.Minute
	// AckGrace is how long a message stays with a listener that ended because it
	// has got all it had asked for.
	AckGrace = 10 * time.Second
	// MaxListeners bounds those who listen at a time.
	MaxListeners = 32
)

// Verdict says what becomes of a message that arrives.
type Verdict int

// Verdicts.
const (
	Admit Verdict = iota // write it
	Wait                 // the inbox is full: it keeps its credit until there is room
	Drop                 // the inbox is full, and the message cannot wait
)

// Box decides what is kept, in which order it is handed out and to whom. It is
// pure: messages are numbers that grow, with a size. A Box is not safe for
// concurrent use.
type Box struct {
	limits Limits
	list   []entry // ascending; acknowledged ones until they are cut out
	cut    int     // of list, how many
	from   int     // no entry of list below is free to be handed out
	oldest int     // all entries of list below are gone or read

	bytes   int64 // of what has room: writing, kept, in hand, read
	count   int
	waiting int // at the end of list
	waits   int64

	hands     map[uint64]hand   // by number, what is in hand
	handed    []handed          // in the order of time, also some that are not in hand any more
	late      map[uint64]uint64 // by number, the listener that had it for too long
	listeners map[uint64]*listener
	copiers   map[uint64]*copier // by listener, those of an earlier box included

	read    int // acknowledged ones that copies still want
	copies  int // of listeners
	dropped uint64
}

type entry struct {
	seq   uint64
	at    int64 // nanoseconds since 1970, of the wall clock
	size  int
	state state
}

type state uint8

const (
	waiting state = iota // for room
	writing              // it has room
	kept                 // it is on the disk, and free
	inHand
	read // acknowledged; copies still want it
	gone
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

// listener is one who listens.
type listener struct {
	*copier // nil: it shares
	hands   int
	bytes   int64
}

// copier is a listener to all.
type copier struct {
	after uint64 // it is done with all up to this number
	given uint64 // … and was told of all up to this one
	lost  uint64 // how many it was never told of, in all
}

// keptCopiers bounds the copiers that are known, with those of an earlier box of
// whom nothing was heard since.
const keptCopiers = 2 * MaxListeners

// NewBox returns an empty box.
func NewBox(l Limits) *Box {
	return &Box{
		limits: l, hands: make(map[uint64]hand), late: make(map[uint64]uint64), listeners: make(map[uint64]*listener),
		copiers: make(map[uint64]*copier),
	}
}

// Load adds a message that is on the disk, when the box begins. Numbers grow.
// It may be more than the limits allow: they may have been larger before.
func (b *Box) Load(seq uint64, size int, at int64) {
	b.list = append(b.list, entry{seq, at, size, kept})
	b.count++
	b.bytes += int64(size)
}

// Arrive takes a message with a number above all others. One that cannot wait
// is dropped when there is no room. Forget is what has to be deleted to have
// room: acknowledged messages that only copies still wanted.
func (b *Box) Arrive(seq uint64, size int, at int64, canWait bool) (v Verdict, forget []uint64) {
	if b.waiting == 0 {
		forget = b.room(size)
		if b.fits(size) {
			b.list = append(b.list, entry{seq, at, size, writing})
			b.count++
			b.bytes += int64(size)
			return Admit, forget
		}
	}
	if !canWait {
		b.dropped++
		return Drop, forget
	}
	b.list = append(b.list, entry{seq, at, size, waiting})
	b.waiting++
	b.waits += int64(size)
	return Wait, forget
}

// fits tells whether there is room for one more; for one there always is.
func (b *Box) fits(size int) bool {
	return b.count == 0 || b.count < b.limits.Messages && b.bytes+int64(size) <= b.limits.Bytes
}

// room cuts out the oldest of those that only copies want until there is room.
func (b *Box) room(size int) (forget []uint64) {
	for i := 0; i < len(b.list) && b.read > 0 && !b.fits(size); i++ {
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

// miss counts a message that is deleted for the copies that were not told of it.
// Those that were and come too late find out themselves.
func (b *Box) miss(seq uint64) {
	for _, c := range b.copiers {
		if max(c.after, c.given) < seq {
			c.lost++
		}
	}
}

// Succeed has the box take over the copiers of an earlier one, when it begins.
// They do not listen before they come again, but what is deleted meanwhile is
// counted for them, and so are these numbers.
func (b *Box) Succeed(before *Box, deleted []uint64) {
	b.copiers = before.copiers
	for _, seq := range deleted {
		b.miss(seq)
	}
}

// Written says that messages are on the disk and may be handed out.
func (b *Box) Written(seqs []uint64) {
	for _, seq := range seqs {
		if i, ok := b.find(seq); ok && b.list[i].state == writing {
			b.list[i].state = kept
			b.from = min(b.from, i)
		}
	}
}

// Listen makes a listener known, unless it is. With all it copies what is kept
// above after, and acknowledges nothing; without, it shares with the others. It
// is false when there are too many.
func (b *Box) Listen(id uint64, all bool, after uint64) bool {
	if b.listeners[id] != nil {
		return true
	}
	if len(b.listeners) == MaxListeners {
		return false
	}
	l := new(listener)
	b.listeners[id] = l
	if all {
		b.copies++
		l.copier = b.copier(id, after)
	}
	return true
}

// copier returns what is known of a listener to all.
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

// Pull hands out at most so many messages to a listener, in order: those that
// nobody has in hand, or had for too long.
func (b *Box) Pull(now time.Time, id uint64, most int) (seqs []uint64) {
	l := b.listeners[id]
	if l == nil || l.copier != nil {
		return nil
	}
	b.expire(now)
	most = min(most, windowMessages-l.hands)
	first := true // nothing free was passed over
	for i := b.from; i < len(b.list) && len(seqs) < most; i++ {
		e := &b.list[i]
		if e.state == waiting || e.state == writing {
			break
		}
		free := e.state == kept
		if free && b.late[e.seq] == id {
			first = false
			continue
		}
		if free && l.hands > 0 && l.bytes+int64(e.size) > windowBytes {
			break
		}
		if free {
			e.state = inHand
			delete(b.late, e.seq)
			due := now.Add(HandTimeout)
			b.hands[e.seq] = hand{id, e.size, due}
			b.handed = append(b.handed, handed{e.seq, due})
			l.hands++
			l.bytes += int64(e.size)
			seqs = append(seqs, e.seq)
		}
		if first {
			b.from = i + 1
		}
	}
	return seqs
}

// Copy returns what a listener to all gets next, above what it is done with:
// after. Lost is how many it was never told of so far, because room was needed.
// Forget is what has to be deleted since no other copy wants it.
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
		if e.state == waiting || e.state == writing {
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

// Ack says that messages are done with, whoever has them. Forget is what has to
// be deleted, copied what is kept on for copies alone: while others wait for room
// nothing is.
func (b *Box) Ack(seqs []uint64) (forget, copied []uint64) {
	least, any := b.least()
	for _, seq := range seqs {
		i, ok := b.find(seq)
		if !ok || b.list[i].state != kept && b.list[i].state != inHand {
			continue
		}
		b.drop(seq)
		delete(b.late, seq)
		if any && least < seq && b.waiting == 0 {
			b.list[i].state = read
			b.read++
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

// Admitted returns the messages that waited and have room now, in their order:
// write them.
func (b *Box) Admitted() (seqs []uint64) {
	for i := len(b.list) - b.waiting; b.waiting > 0; i++ {
		e := &b.list[i]
		if !b.fits(e.size) {
			break
		}
		e.state = writing
		b.waiting--
		b.waits -= int64(e.size)
		b.count++
		b.bytes += int64(e.size)
		seqs = append(seqs, e.seq)
	}
	return seqs
}

// Hands returns how many messages a listener has in hand, and whether there is such
// a listener.
func (b *Box) Hands(id uint64) (n int, listens bool) {
	if l := b.listeners[id]; l != nil {
		return l.hands, true
	}
	return 0, false
}

// Leave says that a listener is gone: what it had in hand is free again. Forget
// is what has to be deleted since only that listener still wanted it.
func (b *Box) Leave(id uint64) (forget []uint64) {
	delete(b.copiers, id)
	l := b.listeners[id]
	if l == nil {
		return nil
	}
	delete(b.listeners, id)
	if l.copier != nil {
		b.copies--
		return b.release()
	}
	for seq, h := range b.hands {
		if h.listener == id {
			b.free(seq)
		}
	}
	b.forgetLate(id)
	return nil
}

// forgetLate forgets what a listener that is gone had for too long.
func (b *Box) forgetLate(id uint64) {
	maps.DeleteFunc(b.late, func(_, had uint64) bool { return had == id })
}

// Finish says that a listener has got all it had asked for and is gone: what it
// has in hand stays there for another AckGrace at most, since its last
// acknowledgement may be on its way. Forget is as for Leave.
func (b *Box) Finish(now time.Time, id uint64) (forget []uint64) {
	l := b.listeners[id]
	if l == nil || l.copier != nil {
		return b.Leave(id)
	}
	delete(b.listeners, id)
	b.forgetLate(id)
	due := now.Add(AckGrace)
	for seq, h := range b.hands {
		if h.listener == id && h.due.After(due) {
			h.due = due
			b.hands[seq] = h
			b.handed = append(b.handed, handed{seq, due})
		}
	}
	slices.SortStableFunc(b.handed, func(a, c handed) int { return cmp.Or(a.due.Compare(c.due), cmp.Compare(a.seq, c.seq)) })
	return nil
}

// Due returns when the next message has been in hand for too long.
func (b *Box) Due() (at time.Time, ok bool) {
	b.tidy()
	if len(b.handed) == 0 {
		return at, false
	}
	return b.handed[0].due, true
}

// tidy takes away the first of handed that are not in hand any more.
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
}

// expire frees what was in hand for too long, for other listeners.
func (b *Box) expire(now time.Time) {
	for {
		b.tidy()
		if len(b.handed) == 0 || b.handed[0].due.After(now) {
			return
		}
		seq := b.handed[0].seq
		b.late[seq] = b.hands[seq].listener
		b.free(seq)
	}
}

// free takes a message out of the hand it is in.
func (b *Box) free(seq uint64) {
	b.drop(seq)
	if i, ok := b.find(seq); ok && b.list[i].state == inHand {
		b.list[i].state = kept
		b.from = min(b.from, i)
	}
}

// drop notes that a message is in nobody's hand.
func (b *Box) drop(seq uint64) {
	h, ok := b.hands[seq]
	if !ok {
		return
	}
	delete(b.hands, seq)
	if l := b.listeners[h.listener]; l != nil {
		l.hands--
		l.bytes -= int64(h.size)
	}
}

// least is the number up to which every copy is done.
func (b *Box) least() (least uint64, copied bool) {
	for _, l := range b.listeners {
		if l.copier != nil && (!copied || l.after < least) {
			least, copied = l.after, true
		}
	}
	return least, copied
}

// release cuts out what is acknowledged and no copy wants any more.
func (b *Box) release() (forget []uint64) {
	least, copied := b.least()
	for i := 0; i < len(b.list) && b.read > 0; i++ {
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

// find returns where in list a number is, or would be.
func (b *Box) find(seq uint64) (int, bool) {
	i := sort.Search(len(b.list), func(i int) bool { return b.list[i].seq >= seq })
	return i, i < len(b.list) && b.list[i].seq == seq && b.list[i].state != gone
}

// remove takes an entry that has room out of the counts; compact takes it out
// of list.
func (b *Box) remove(i int) {
	e := &b.list[i]
	if e.state == read {
		b.read--
	}
	b.count--
	b.bytes -= int64(e.size)
	e.state = gone
	b.cut++
}

func (b *Box) compact() {
	n := 0
	for n < len(b.list) && b.list[n].state == gone {
		n++
	}
	b.list, b.cut, b.from, b.oldest = b.list[n:], b.cut-n, max(0, b.from-n), max(0, b.oldest-n)
	if b.cut > 1024 && b.cut > len(b.list)/2 {
		b.list = slices.DeleteFunc(slices.Clone(b.list), func(e entry) bool { return e.state == gone })
		b.cut, b.from, b.oldest = 0, 0, 0
	}
}

// Level is how full a box is.
type Level struct {
	Messages     int   // that nobody has acknowledged
	Bytes        int64 // of records, with those that only copies still want
	Oldest       int64 // nanoseconds since 1970; 0: there is none
	InHand       int   // of Messages, handed out
	Waiting      int   // that have no room, and keep their credit
	WaitingBytes int64
	Listeners    int // that share
	Copies       int
	Dropped      uint64 // messages that could not wait, since the start
}

// Level returns how full the box is. It passes over each acknowledged message
// once, however often it is called: its cost does not grow with what copies have
// left.
func (b *Box) Level() Level {
	v := Level{
		Messages: b.count - b.read, Bytes: b.bytes, InHand: len(b.hands), Waiting: b.waiting, WaitingBytes: b.waits, Dropped: b.dropped,
		Listeners: len(b.listeners) - b.copies, Copies: b.copies,
	}
	for b.oldest < len(b.list) && (b.list[b.oldest].state == gone || b.list[b.oldest].state == read) {
		b.oldest++ // neither becomes anything that counts
	}
	if b.oldest < len(b.list) {
		v.Oldest = b.list[b.oldest].at
	}
	return v
}

// Full tells whether messages have no room.
func (b *Box) Full() bool {
	return b.waiting > 0 || b.count-b.read >= b.limits.Messages || b.bytes >= b.limits.Bytes
}
