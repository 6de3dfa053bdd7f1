package outcomepart

import (
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/protocol/outcomes"
	"github.com/gamelan-p2p/gamelan/internal/share"
)

// books are the books of all senders, and what their results are. All methods may be called from any
// goroutine, and none waits.
type books struct {
	o *Outcomes

	mu      sync.Mutex
	name    outcomes.Store   // of new books; another one whenever a book was forgotten
	dead    map[epoch]uint64 // forgotten, and still in the inbox's store; with a serial for Stored
	serial  uint64
	noted   outcomes.Store // the name that the inbox's store has
	of      map[identity.PublicKey]map[outcomes.Epoch]*book
	shares  share.Shares[identity.PublicKey] // of bytes
	size    int64
	evicted uint64 // for want of room, since the start
	news    map[identity.NodeID]*news
	woken   bool // the actor was sent told, and has not taken news since
}

// epoch names the numbers of a sender.
type epoch struct {
	from identity.PublicKey
	of   outcomes.Epoch
}

// book is that of an epoch of a sender.
type book struct {
	outcomes.Book
	epoch  outcomes.Epoch
	holder share.Holder[identity.PublicKey]
	peer   identity.NodeID
	used   time.Time
	asked  time.Time // the last question that was answered
	size   int64
	stored bool // the inbox's store has it
	gone   bool // it was forgotten: results are told, copies are not known
}

func (k *book) of() epoch { return epoch{k.holder.Key, k.epoch} }

func random() uint64 { return rand.Uint64() | 1 }

// Limits of all books.
const (
	booksBytes = 4 << 20
	// bookIdle is how long a book is kept without a message.
	bookIdle = 24 * time.Hour
)

func (b *books) init(o *Outcomes) {
	b.o = o
	b.of = make(map[identity.PublicKey]map[outcomes.Epoch]*book)
	b.dead = make(map[epoch]uint64)
	b.rename()
	b.news = make(map[identity.NodeID]*news)
}

// arrive judges a message that this node takes, or refuses, and tells its sender what is known of it. With
// deliver it is for the handler.
func (b *books) arrive(i *intake, m *outcomes.Message, refused outcomes.Result) (_ *book, deliver bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	k := b.find(i.on, m.Epoch)
	if m.Want > outcomes.Read && (m.Line != i.line || k != i.knows) {
		b.hello(i, k)
		return nil, false
	}
	verdict, r := k.Arrive(m)
	if verdict == outcomes.Deliver && refused != 0 {
		k.Refuse(m.Number)
		verdict, r = outcomes.Answer, refused
	}
	b.resize(k)
	if verdict == outcomes.Answer {
		b.owe(k.peer, result{m.Epoch, m.Number, r})
	}
	return k, verdict == outcomes.Deliver
}

func (b *books) find(on *actors.ConnRef, e outcomes.Epoch) *book {
	holder := share.Holder[identity.PublicKey]{Source: share.Source(on.Origin()), Key: on.Key}
	k := b.of[on.Key][e]
	if k == nil {
		k = b.add(holder, e, outcomes.NewBook(b.name))
	} else if k.holder != holder { // it was restored, or its peer has moved
		b.shares.Move(k.holder, holder, k.size)
		k.holder = holder
	}
	k.used = b.o.trunk.Now()
	return k
}

func (b *books) add(of share.Holder[identity.PublicKey], e outcomes.Epoch, m *outcomes.Book) *book {
	k := &book{Book: *m, epoch: e, peer: of.Key.NodeID(), holder: of}
	if b.of[of.Key] == nil {
		b.of[of.Key] = make(map[outcomes.Epoch]*book)
	}
	b.of[of.Key][e] = k
	return k
}

// restore begins with what the inbox's store has.
func (b *books) restore(known []outcomes.Remembered) {
	now, wall := b.o.trunk.Now(), b.o.trunk.Wall()
	for _, r := range known {
		if r.Named() {
			b.name, b.noted = r.Name(), r.Name()
		}
	}
	for _, r := range known {
		if r.Named() {
			continue
		}
		restored, err := outcomes.Restore(r.State)
		age := wall.Sub(r.Used)
		if err != nil || restored.Idle() && age >= bookIdle {
			b.bury(epoch{r.From, r.Epoch})
			b.rename()
			continue
		}
		k := b.add(share.Holder[identity.PublicKey]{Source: share.Exempt, Key: r.From}, r.Epoch, restored)
		k.stored, k.used = true, now.Add(-max(0, age))
		b.resize(k)
	}
}

// States implements [outcomes.Senders].
func (b *books) States(kept, handled, dropped []outcomes.MessageID) (states []outcomes.Remembered, sync bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	type change struct{ kept, handled, dropped []uint64 }
	changes := make(map[*book]*change)
	of := func(id outcomes.MessageID) *change {
		k := b.of[id.From][id.Epoch]
		if k == nil {
			return new(change)
		}
		c := changes[k]
		if c == nil {
			c = new(change)
			changes[k] = c
		}
		sync = sync || k.Waits(id.Number)
		return c
	}
	for _, id := range kept {
		c := of(id)
		c.kept = append(c.kept, id.Number)
	}
	for _, id := range handled {
		c := of(id)
		c.handled = append(c.handled, id.Number)
	}
	for _, id := range dropped {
		c := of(id)
		c.dropped = append(c.dropped, id.Number)
	}
	now, wall := b.o.trunk.Now(), b.o.trunk.Wall()
	for k := range changes {
		k.stored = true
		delete(b.dead, k.of()) // an earlier book of the epoch
	}
	for e, serial := range b.dead {
		states = append(states, outcomes.Remembered{From: e.from, Epoch: e.of, Serial: serial})
	}
	if b.name != b.noted {
		states = append(states, outcomes.Named(b.name))
	}
	for k, c := range changes {
		states = append(states, outcomes.Remembered{From: k.holder.Key, Epoch: k.epoch, State: k.State(c.kept, c.handled, c.dropped), Used: wall.Add(k.used.Sub(now))})
	}
	return states, sync
}

// Stored implements [outcomes.Senders].
func (b *books) Stored(states []outcomes.Remembered) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range states {
		if e := (epoch{s.From, s.Epoch}); s.State == nil && b.dead[e] == s.Serial {
			delete(b.dead, e)
		}
		if s.Named() {
			b.noted = s.Name()
		}
	}
}

// Loaded implements [outcomes.Senders].
func (b *books) Loaded(there []outcomes.MessageID) {
	has := make(map[outcomes.MessageID]bool, len(there))
	for _, id := range there {
		has[id] = true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, of := range b.of {
		for _, k := range of {
			for _, n := range slices.Collect(k.OnDisk()) {
				if id := (outcomes.MessageID{From: k.holder.Key, Epoch: k.epoch, Number: n}); has[id] {
					b.note(k, n, outcomes.IsKept, (*outcomes.Book).Kept)
				} else {
					b.note(k, n, outcomes.IsUnknown, (*outcomes.Book).Lose)
				}
			}
		}
	}
}

// Lost implements [outcomes.Senders].
func (b *books) Lost(ids []outcomes.MessageID) {
	b.tellAll(ids, outcomes.IsUnknown, (*outcomes.Book).Lose)
}

// Kept implements [outcomes.Senders].
func (b *books) Kept(ids []outcomes.MessageID) {
	b.tellAll(ids, outcomes.IsKept, (*outcomes.Book).Kept)
}

// Handled implements [outcomes.Senders].
func (b *books) Handled(ids []outcomes.MessageID) {
	b.tellAll(ids, outcomes.IsHandled, (*outcomes.Book).Handled)
}

// Dropped implements [outcomes.Senders].
func (b *books) Dropped(ids []outcomes.MessageID) {
	b.tellAll(ids, outcomes.IsDropped, (*outcomes.Book).Dropped)
}

func (b *books) tellAll(ids []outcomes.MessageID, r outcomes.Result, note func(*outcomes.Book, uint64) bool) {
	if len(ids) == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, id := range ids {
		if k := b.of[id.From][id.Epoch]; k != nil {
			b.note(k, id.Number, r, note)
		}
	}
}

// note notes what became of a message, and has its sender told if it waits for that.
func (b *books) note(k *book, n uint64, r outcomes.Result, note func(*outcomes.Book, uint64) (tell bool)) {
	if note(&k.Book, n) {
		b.owe(k.peer, result{k.epoch, n, r})
	}
	b.resize(k)
}

// resize counts what a book has, and has others make way.
func (b *books) resize(k *book) {
	if k.gone {
		return
	}
	n := int64(k.Size())
	b.shares.Add(k.holder, n-k.size)
	b.size += n - k.size
	k.size = n
	for b.size > booksBytes {
		most, ok := b.shares.Most()
		if !ok {
			return
		}
		b.evicted++
		b.forget(b.oldest(most))
	}
}

// oldest returns the book of a holder that was not used for longest; of two, one in which nothing is open.
// Of many books it looks at some.
func (b *books) oldest(of share.Holder[identity.PublicKey]) (k *book) {
	seen := 0
	for _, x := range b.of[of.Key] {
		if x.holder != of {
			continue
		}
		if seen++; seen > 8 {
			break
		}
		if k == nil || x.Idle() && !k.Idle() || x.Idle() == k.Idle() && x.used.Before(k.used) {
			k = x
		}
	}
	return k
}

func (b *books) forget(k *book) {
	k.gone = true
	k.Shrink()
	b.shares.Add(k.holder, -k.size)
	b.size -= k.size
	of := b.of[k.holder.Key]
	if delete(of, k.epoch); len(of) == 0 {
		delete(b.of, k.holder.Key)
	}
	if k.stored {
		b.bury(k.of())
	}
	b.rename()
}

// bury has the inbox's store forget a book.
func (b *books) bury(e epoch) {
	b.serial++
	b.dead[e] = b.serial
}

// rename follows when a book was forgotten: later ones do not know what it knew.
func (b *books) rename() { b.name = outcomes.Store(random()) }

// sweep forgets the books of senders that have sent nothing for a day.
func (b *books) sweep() {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.o.trunk.Now()
	for _, of := range b.of {
		for _, k := range of {
			if k.Idle() && now.Sub(k.used) >= bookIdle {
				b.forget(k)
			}
		}
	}
}

// handled notes that a message was handled.
func (b *books) handled(k *book, n uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.note(k, n, outcomes.IsHandled, (*outcomes.Book).Handled)
}

// dropped notes that a message was dropped.
func (b *books) dropped(k *book, n uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.note(k, n, outcomes.IsDropped, (*outcomes.Book).Dropped)
}

// ask tells a peer what became of messages that it asks for, which came before on the same line.
func (b *books) ask(i *intake, a *outcomes.Ask) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(a.Of) == 0 {
		k := b.find(i.on, a.Epoch)
		b.resize(k)
		b.hello(i, k)
		return
	}
	k := i.knows
	if k == nil || k.epoch != a.Epoch || i.line != a.Line {
		if k := b.of[i.on.Key][a.Epoch]; k != nil {
			b.hello(i, k)
		}
		return
	}
	now := b.o.trunk.Now()
	if !k.asked.IsZero() && now.Sub(k.asked) < askedMost {
		return
	}
	k.asked, k.used = now, now
	left := outcomes.MaxAsked
	for _, r := range a.Of {
		for n := r.First; n <= r.Last && left > 0; n++ {
			left--
			x := outcomes.IsUnknown
			if !k.gone {
				x = k.Asked(n)
			}
			if x != 0 {
				b.owe(i.on.Peer, result{a.Epoch, n, x})
			}
		}
	}
}

// hello tells a peer what its messages are written to. A line is for one book.
func (b *books) hello(i *intake, k *book) {
	if i.knows != nil && i.knows != k {
		i.line = outcomes.Line(random())
	}
	i.knows = k
	b.newsOf(i.on.Peer).hello(outcomes.Hello{Epoch: k.epoch, Store: k.Store(), Line: i.line})
}

func (b *books) owe(id identity.NodeID, r result) {
	n := b.newsOf(id)
	if len(n.results) < 2*maxOwed {
		n.results = append(n.results, r)
	}
}

func (b *books) newsOf(id identity.NodeID) *news {
	n := b.news[id]
	if n == nil {
		n = new(news)
		b.news[id] = n
	}
	if !b.woken {
		b.woken = true
		b.o.trunk.System().Root.Send(b.o.pid, told{})
	}
	return n
}

// take returns all news.
func (b *books) take() map[identity.NodeID]*news {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.woken = false
	taken := b.news
	b.news = make(map[identity.NodeID]*news)
	return taken
}
