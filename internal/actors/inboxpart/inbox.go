package inboxpart

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/internal/actors/messengers"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/internal/protocol/outcomes"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Errors of listening.
var (
	ErrTooManyListeners = errors.New("inbox: too many listen already; end one of them")
	ErrClosed           = errors.New("inbox: the node has stopped")
	// ErrNone reports the use of a nil Inbox: the node was started without the option.
	ErrNone = errors.New("inbox: this node keeps no messages; start it with gamelan.WithInbox")
)

// Options are the settings of an inbox.
type Options struct {
	Limits
	Disk kv.Client // a client of the node's store that only the inbox uses
	// Marks is another one. It writes how often messages were handed out; nil: that is forgotten at the end.
	Marks kv.Client
	Wall  func() time.Time // the system's clock, for the times of messages
	High  int              // level in percent of the limits above which the node is degraded
}

// Inbox is a node's durable inbox. All methods may be called from any goroutine.
// The methods of a nil Inbox return [ErrNone].
type Inbox struct {
	o     Options
	store *store
	trunk Trunk // nil until Bind
	pause func(context.Context) error

	expected []string // topics of the program's functions
	queue    queue
	handled  acks
	senders  outcomes.Senders // nil: no message has an id

	received, acked, dropped atomic.Uint64
	damaged                  int
	closed                   atomic.Bool // the node has ended
	status                   atomic.Pointer[actors.InboxStatus]

	left atomic.Pointer[UnwrittenError] // see Unwritten

	running sync.Map // from the listener's name to a *running
}

// Open returns the inbox of a store. The error is an [ErrNewer], or one of the store.
func Open(o Options) (*Inbox, error) {
	s, err := openStore(o.Disk, o.Marks)
	if err != nil {
		return nil, err
	}
	return &Inbox{o: o, store: s, queue: queue{
		copied: make(map[uint64]struct{}), noted: make(map[uint64]struct{}), ids: make(map[uint64]mark), marked: make(map[uint64]Tries), drops: make(map[uint64]struct{}),
	}}, nil
}

// Trunk names what an inbox needs of the node. [trunk.Node] implements it.
type Trunk interface {
	System() *actor.ActorSystem
	NewID() uint64
	Now() time.Time
	Plain() *messengers.Messaging
	SetFull(full bool)
}

var _ Trunk = trunk.Node{}

// Bind connects the inbox to its node. The inbox calls pause before it repeats a question
// to the actor: pause waits a moment, or until ctx ends, and returns [ErrClosed] when the
// node has ended. Bind must be called once, before the node's actors start.
func (b *Inbox) Bind(trunk Trunk, pause func(ctx context.Context) error) {
	b.trunk, b.pause = trunk, pause
}

// Expect says that the program has a function for messages of a topic. It is called before the node's actors start.
func (b *Inbox) Expect(topic string) { b.expected = append(b.expected, topic) }

// NewActor returns an incarnation of the keeper, the actor that receives the node's plain
// messages.
func (b *Inbox) NewActor() actor.Actor { return newKeeper(b) }

// Close writes all messages that are not written yet, also those without room. It must be
// called after the node's actors have ended, and before the DHT records which messages were
// handled. It blocks. If messages remain, the error is an [*UnwrittenError]; of these, messages
// over the DHT may come again.
func (b *Inbox) Close() error {
	b.closed.Store(true)
	if b.queue.next == 0 { // the messages on the disk were never read; these numbers are free
		b.queue.next = max(1, b.store.reserved)
	}
	b.queue.forget = append(b.queue.forget, b.handled.list()...)
	left := &UnwrittenError{Of: b.queue.unwritten()}
	b.left.Store(left)
	n := b.queue.news(slices.Concat(b.queue.ready, b.queue.waiting, b.queue.fresh), b.queue.forgotten())
	changes, next, end := b.queue.rest()
	changes, _ = b.remember(changes, &n)
	err := b.store.end(changes, next)
	end(err == nil)
	if err != nil && len(left.Of) > 0 {
		return &UnwrittenError{left.Of, err}
	}
	b.left.Store(nil)
	return err
}

// Unwritten returns what Close is about to write, or could not write; nil if there is nothing.
func (b *Inbox) Unwritten() *UnwrittenError {
	if b == nil {
		return nil
	}
	if left := b.left.Load(); left != nil && len(left.Of) > 0 {
		return left
	}
	return nil
}

// UnwrittenError reports messages, by peer, that came and are not on the disk at the end of the
// inbox. Their senders may have seen them confirmed.
type UnwrittenError struct {
	Of  map[identity.NodeID]messengers.Loss
	err error
}

// Losses returns Of, also of nil.
func (e *UnwrittenError) Losses() map[identity.NodeID]messengers.Loss {
	if e == nil {
		return nil
	}
	return e.Of
}

// Error counts the messages.
func (e *UnwrittenError) Error() string {
	var all messengers.Loss
	for _, l := range e.Of {
		all.Messages, all.Bytes = all.Messages+l.Messages, all.Bytes+l.Bytes
	}
	text := fmt.Sprintf("%s of %s with %s bytes may be confirmed to their senders and are not on the disk",
		inspect.Count(all.Messages, "message"), inspect.Count(uint64(len(e.Of)), "peer"), inspect.Number(all.Bytes))
	if e.err != nil {
		text += ": " + e.err.Error()
	}
	return text
}

// Unwrap returns the error of the store.
func (e *UnwrittenError) Unwrap() error { return e.err }

// Status returns the state of the inbox after the actor's last message.
func (b *Inbox) Status() actors.InboxStatus {
	if b == nil {
		return actors.InboxStatus{Err: ErrNone}
	}
	if s := b.status.Load(); s != nil {
		return *s
	}
	return actors.InboxStatus{MaxBytes: b.o.Bytes, MaxMessages: b.o.Messages, Loading: true}
}

// Listen yields the kept messages, oldest first, and then new ones as they come, until
// ctx or the node ends. If it yields an error, the error comes last. Acknowledge a
// yielded message with [Inbox.Ack] and its number. A listener has at most 4,096 messages
// and 4 MiB in hand; at that limit Listen waits until some are acknowledged.
//
// A message whose record cannot be read is passed over, counted in Damaged, and left on the
// disk.
//
// Messages that are not acknowledged when the loop ends go to the next listener, in
// order. After Most messages they stay for another [AckGrace] first, unless o.Wait is
// set. A message that is not acknowledged within [HandTimeout] goes to another listener, unless the
// loop's body is at it and o.Wait is not set.
func (b *Inbox) Listen(ctx context.Context, o actors.ListenOptions) iter.Seq2[KeptMessage, error] {
	return func(yield func(KeptMessage, error) bool) {
		if b == nil {
			yield(KeptMessage{}, ErrNone)
			return
		}
		p := pull{listener: b.trunk.NewID(), all: o.All, topic: o.Topic, at: new(atomic.Uint64)}
		var lostBefore, lost uint64
		var rest []uint64 // handed out, and not begun
		left := o.Most
		if left <= 0 {
			left = math.MaxInt
		}
		ctx, ended := b.named(ctx, o.Name, p.listener)
		defer ended()
		defer func() { b.tell(leave{p.listener, p.got, left == 0 && !o.Wait, rest}) }()
		page := pageSize{all: o.All, n: 1}
		for left > 0 && ctx.Err() == nil {
			p.most = min(left, page.next(b.trunk.Now()))
			r, ok, err := ask[pulled](b, ctx, p)
			switch {
			case err != nil:
				yield(KeptMessage{}, err)
				return
			case !ok:
				continue
			case r.refused:
				yield(KeptMessage{}, ErrTooManyListeners)
				return
			}
			p.got++
			lostBefore, lost = r.lost, lost+r.lost-lostBefore
			rest = r.seqs
			since := b.trunk.Now()
			page.begin(since)
			for m, err := range b.store.messages(r.seqs) {
				if ctx.Err() != nil || b.closed.Load() {
					return
				}
				rest = rest[1:]
				switch {
				case errors.Is(err, errRecord):
					b.tell(unreadable{m.Seq})
					fallthrough
				case errors.Is(err, kv.ErrNotFound): // acknowledged meanwhile
					p.after = m.Seq
					lost++
					continue
				case err != nil:
					yield(KeptMessage{}, err)
					return
				}
				if o.All && o.Topic != "" && m.Topic != o.Topic {
					p.after = m.Seq
					continue
				}
				if o.All {
					m.Lost, lost = lost, 0
				} else {
					m.Listener, m.Attempt = p.listener, r.tries[len(r.seqs)-len(rest)-1]
					if b.trunk.Now().Sub(since) > HandTimeout/2 {
						if has, err := until[held](b, ctx, hold{p.listener, m.Seq}); err != nil || !has.it {
							continue // another listener has it
						}
					}
					if !o.Wait { // the body of such a loop hands the message on
						p.at.Store(m.Seq)
					}
				}
				goOn := yield(m, nil)
				if p.at.Store(0); !goOn {
					return
				}
				p.after = m.Seq
				left--
			}
		}
		if o.Wait && !o.All {
			b.settled(ctx, p.listener)
		}
	}
}

// settled waits until the listener has no message in hand, or has acknowledged none for AckGrace.
func (b *Inbox) settled(ctx context.Context, listener uint64) {
	for below := math.MaxInt; below > 0; {
		soon, cancel := context.WithTimeout(ctx, AckGrace)
		r, err := until[handsFree](b, soon, await{listener: listener, below: below})
		cancel()
		if err != nil {
			return
		}
		below = r.hands
	}
}

// running is a Listen that has a name.
type running struct {
	cancel   context.CancelFunc
	listener uint64
}

// named returns a context that HandBack can cancel by the listener's name until ended is
// called.
func (b *Inbox) named(ctx context.Context, name string, listener uint64) (_ context.Context, ended func()) {
	if name == "" {
		return ctx, func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	r := &running{cancel, listener}
	b.running.Store(name, r)
	return ctx, func() {
		cancel()
		b.running.CompareAndDelete(name, r)
	}
}

// HandBack ends the listener with this name. When it returns nil, the messages that the
// listener has not acknowledged are free for the next listener, in order. It does nothing
// if there is no such listener.
func (b *Inbox) HandBack(ctx context.Context, name string) error {
	if b == nil {
		return ErrNone
	}
	v, ok := b.running.Load(name)
	if !ok {
		return nil
	}
	r := v.(*running)
	r.cancel()
	_, err := until[handsFree](b, ctx, await{listener: r.listener, left: true})
	return err
}

// Ack acknowledges messages: they are deleted, and no listener gets them again. It
// returns when the deletion is synced. It ignores numbers that are not kept.
//
// An acknowledged message that a copier has not had yet stays on the disk for that
// copier, until the node ends.
func (b *Inbox) Ack(ctx context.Context, seqs ...uint64) error {
	_, err := until[acked](b, ctx, ack{seqs})
	return err
}

// Decline takes a message out of the hand of its listener, so that it does not use up what a
// listener may have in hand. The message rests, and then any listener gets it. Decline does nothing if
// that listener does not have the message any more.
func (b *Inbox) Decline(listener, seq uint64) {
	if b != nil {
		b.tell(decline{listener, seq})
	}
}

// pulledAtOnce bounds the messages in one answer, so that all listeners get some.
const pulledAtOnce = 256

// pageSize is how many messages a listener asks for at once: as many as it is done with soon. What it has in hand at a kill counts
// as an attempt, and is not handed to another.
type pageSize struct {
	all   bool // a copier takes none in hand
	n     int
	begun time.Time // zero: no page was
}

const (
	pageSoon = 20 * time.Millisecond
	pageLate = 5 * pageSoon
)

func (p *pageSize) begin(now time.Time) { p.begun = now }

// next returns the size of the next page, and is called when the one before it is done.
func (p *pageSize) next(now time.Time) int {
	switch took := now.Sub(p.begun); {
	case p.all:
		return pulledAtOnce
	case p.begun.IsZero():
	case took < pageSoon:
		p.n = min(2*p.n, pulledAtOnce)
	case took > pageLate:
		p.n = max(1, p.n/2)
	}
	return p.n
}

// askAgain is how long one question waits for its answer before it is repeated: a restart
// of the actor loses the question.
const askAgain = 5 * time.Second

// ask asks the actor once. If ok is false and err is nil, the caller asks again.
func ask[R any](b *Inbox, ctx context.Context, question any) (r R, ok bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, askAgain)
	defer cancel()
	pid, err := b.trunk.Plain().Handler.Wait(ctx)
	if err == nil && pid != nil {
		if r, err = supervisor.Ask[R](ctx, b.trunk.System(), pid, question); err == nil {
			return r, true, nil
		}
	}
	return r, false, b.pause(ctx) // the actor may be restarting
}

// until asks the actor until it answers or ctx ends.
func until[R any](b *Inbox, ctx context.Context, question any) (r R, err error) {
	if b == nil {
		return r, ErrNone
	}
	for ctx.Err() == nil {
		if r, ok, err := ask[R](b, ctx, question); ok || err != nil {
			return r, err
		}
	}
	return r, ctx.Err()
}

// tell sends the actor a message, if it runs.
func (b *Inbox) tell(m any) {
	if pid, ok := b.keeper(); ok {
		b.trunk.System().Root.Send(pid, m)
	}
}

// keeper returns the PID of the inbox's actor. It returns false while the actor has failed
// and after its panic policy has stopped it.
func (b *Inbox) keeper() (*actor.PID, bool) {
	pid, _ := b.trunk.Plain().Handler.Get()
	return pid, pid != nil
}
