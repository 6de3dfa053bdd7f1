package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// inboxKept is how many messages are kept while nobody listens.
const inboxKept = 1000

// maxListeners bounds those who listen at a time.
const maxListeners = 32

// pulledAtOnce bounds the messages of one answer.
const pulledAtOnce = 256

// inbox is the daemon's handler of plain messages, and of those that come over the
// DHT, which its ears hand on. While somebody listens it
// holds the credit of every message until all listeners have taken it, so a
// slow listener slows the senders and nothing is lost; while nobody does, it
// keeps the last messages without their credit and forgets older ones.
//
// In: actors.Received, dht.Received, pull → pulled, leave. A restart loses the messages that
// nobody has taken; their numbers are missed, and listeners go on.
type inbox struct {
	*inboxCounts
	kept      []keptMessage // oldest first, their numbers without a gap
	held      heldCredit
	listeners map[uint64]*listener
}

// inboxCounts outlives an incarnation.
type inboxCounts struct {
	seq   uint64 // of the newest message
	taken uint64 // the newest message that any listener is done with

	unread atomic.Pointer[unread] // for others to look at
}

// unread is what the inbox holds that not all have taken.
type unread struct{ kept, listeners int }

// look returns what was unread after the inbox's last message.
func (c *inboxCounts) look() unread {
	if u := c.unread.Load(); u != nil {
		return *u
	}
	return unread{}
}

// keptMessage is a message that not all have taken yet.
type keptMessage struct {
	inspect.Message
	release func() // nil: it holds no credit
}

// listener is one who listens: he is done with all up to taken, and waiting is
// who to answer when there is more.
type listener struct {
	taken   uint64
	waiting *actor.PID
}

type (
	// pull asks for messages on behalf of a listener, who is done with all up
	// to taken. Reply: pulled, as soon as there is any. The first pull makes
	// the listener known; he begins with the oldest message that is kept.
	pull struct{ listener, taken uint64 }
	// pulled replies to pull. Refused: too many listen already.
	pulled struct {
		messages []inspect.Message
		refused  bool
	}
	// leave says that a listener is gone, who was done with all up to taken. No
	// reply.
	leave struct{ listener, taken uint64 }
)

// inboxOf makes the producer of a node's inbox, with counts that others may look
// at.
func inboxOf(counts *inboxCounts) gamelan.NewActor {
	return func(*gamelan.Node) actor.Actor {
		return &inbox{inboxCounts: counts, listeners: make(map[uint64]*listener)}
	}
}

func (b *inbox) Receive(c actor.Context) {
	defer func() { b.unread.Store(&unread{len(b.kept), len(b.listeners)}) }()
	switch m := c.Message().(type) {
	case *actor.Started:
		supervisor.Own(c, &b.held)
	case actors.Received:
		b.received(c, inspect.Message{From: m.From.String(), Peer: m.Peer.String(), Body: m.Body}, m.Keep)
	case dht.Received:
		b.received(c, overDHT(&m), m.Keep)
	case pull:
		b.pull(c, m)
	case leave:
		delete(b.listeners, m.listener)
		b.taken = max(b.taken, m.taken)
		b.trim()
	default:
		supervisor.Unhandled(c)
	}
}

// overDHT is what is shown of a message that came over the DHT.
func overDHT(m *dht.Received) inspect.Message {
	d := &inspect.DHTMessage{Type: m.Type, Encrypted: m.Encrypted, Tag: tagText(m.Tag), Copies: m.Copies}
	v := inspect.Message{Peer: m.Peer.String(), Body: m.Body, DHT: d}
	if !m.From.IsZero() {
		v.From, d.Origin = m.From.String(), m.From.NodeID().String()
	}
	if m.Destination.Known {
		d.Destination = m.Destination.String()
	}
	return v
}

// received takes in a message; keep keeps its credit after this turn.
func (b *inbox) received(c actor.Context, m inspect.Message, keep func() (release func())) {
	b.seq++
	m.Seq, m.At = b.seq, supervisor.Now(c)
	k := keptMessage{Message: m}
	if len(b.listeners) > 0 {
		k.release = b.held.hold(keep())
	}
	b.kept = append(b.kept, k)
	b.trim()
	for _, l := range b.listeners {
		b.give(c, l)
	}
}

func (b *inbox) pull(c actor.Context, m pull) {
	l, ok := b.listeners[m.listener]
	if !ok {
		if len(b.listeners) == maxListeners {
			c.Respond(pulled{refused: true})
			return
		}
		l = &listener{}
		b.listeners[m.listener] = l
	}
	l.taken, l.waiting = m.taken, c.Sender()
	b.taken = max(b.taken, l.taken)
	b.trim()
	b.give(c, l)
}

// give answers a listener that waits, if there is something for him. What he
// does not say to have taken is given again.
func (b *inbox) give(c actor.Context, l *listener) {
	if l.waiting == nil || len(b.kept) == 0 || l.taken >= b.seq {
		return
	}
	first := b.kept[0].Seq
	from := max(l.taken+1, first)
	some := b.kept[from-first:]
	messages := make([]inspect.Message, min(len(some), pulledAtOnce))
	for i := range messages {
		messages[i] = some[i].Message
	}
	messages[0].Lost = from - 1 - min(from-1, max(l.taken, b.taken))
	c.Send(l.waiting, pulled{messages: messages})
	l.waiting = nil
}

// trim forgets what all listeners have taken, or, when there is none, what is
// too much to keep. Without listeners no credit is held.
func (b *inbox) trim() {
	n := 0
	if len(b.listeners) == 0 {
		for i := range b.kept {
			b.kept[i].free()
		}
		for n < len(b.kept) && b.kept[n].Seq <= b.taken {
			n++
		}
		n = max(n, len(b.kept)-inboxKept)
	} else {
		done := b.seq
		for _, l := range b.listeners {
			done = min(done, l.taken)
		}
		for n < len(b.kept) && b.kept[n].Seq <= done {
			b.kept[n].free()
			n++
		}
	}
	clear(b.kept[:n])
	b.kept = b.kept[n:]
}

func (k *keptMessage) free() {
	if k.release != nil {
		k.release()
		k.release = nil
	}
}

// String is the inbox's line in the tree.
func (b *inbox) String() string {
	s := fmt.Sprintf("%s received", plural(b.seq, "message"))
	if len(b.listeners) > 0 {
		s += fmt.Sprintf(", %s", plural(uint64(len(b.listeners)), "listener"))
		if n := len(b.kept); n > 0 {
			s += fmt.Sprintf(" not done with %s", inspect.Number(uint64(n)))
		}
		return s
	}
	return s + fmt.Sprintf(", nobody listens, %s kept", inspect.Number(uint64(len(b.kept))))
}

// heldCredit gives back all credit that an incarnation of the inbox still
// holds when it ends. It is used in the inbox's turn only.
type heldCredit struct {
	next uint64
	all  map[uint64]func()
}

// hold remembers release; the function that it returns calls it and forgets.
func (h *heldCredit) hold(release func()) func() {
	if h.all == nil {
		h.all = make(map[uint64]func())
	}
	h.next++
	id := h.next
	h.all[id] = release
	return func() { release(); delete(h.all, id) }
}

// Close gives everything back.
func (h *heldCredit) Close() error {
	for _, release := range h.all {
		release()
	}
	h.all = nil
	return nil
}

// inboxMessages lets the API listen to a node's inbox.
type inboxMessages struct{ node *gamelan.Node }

// errTooManyListeners ends a subscription at once.
var errTooManyListeners = errors.New("gamelan: too many listen already")

// pullAgain is how long one question waits for messages. A restart of the
// inbox forgets the question, so it is asked again.
const pullAgain = 5 * time.Second

// Subscribe yields what the inbox has kept and what arrives, until ctx or the
// node ends.
func (m inboxMessages) Subscribe(ctx context.Context) iter.Seq[inspect.Message] {
	env := m.node.Actors()
	id := env.NewID()
	return func(yield func(inspect.Message) bool) {
		taken := uint64(0)
		defer func() {
			if pid, ok := env.Plain.Handler.Get(); ok {
				env.System.Root.Send(pid, leave{id, taken})
			}
		}()
		for ctx.Err() == nil {
			messages, err := m.pull(ctx, pull{id, taken})
			if err != nil {
				return
			}
			for _, msg := range messages {
				if !yield(msg) {
					return
				}
				taken = msg.Seq
			}
		}
	}
}

// pull asks once; no messages and no error means: ask again.
func (m inboxMessages) pull(ctx context.Context, p pull) ([]inspect.Message, error) {
	env := m.node.Actors()
	ctx, cancel := context.WithTimeout(ctx, pullAgain)
	defer cancel()
	pid, err := env.Plain.Handler.Wait(ctx)
	if err != nil {
		return nil, nil
	}
	r, err := supervisor.Ask[pulled](ctx, env.System, pid, p)
	switch {
	case r.refused:
		return nil, errTooManyListeners
	case err == nil:
		return r.messages, nil
	}
	select {
	case <-m.node.Done():
		return nil, err
	case <-ctx.Done():
		return nil, nil
	case <-time.After(50 * time.Millisecond): // the inbox is being started again
		return nil, nil
	}
}
