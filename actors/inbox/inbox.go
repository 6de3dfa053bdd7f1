package inbox

import (
	"context"
	"errors"
	"iter"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Errors of listening.
var (
	ErrTooManyListeners = errors.New("inbox: too many listen already; end one of them")
	ErrClosed           = errors.New("inbox: the node has stopped")
	// ErrNone is what a nil Inbox answers, which a node without the option has.
	ErrNone = errors.New("inbox: this node keeps no messages; start it with gamelan.WithInbox")
)

// Options are what an inbox is made of.
type Options struct {
	Limits
	Disk kv.Client        // of its own, of the node's store
	Wall func() time.Time // for what is on the disk
}

// Inbox is a node's durable inbox. All methods may be called from any goroutine.
// Those of a nil Inbox answer [ErrNone].
type Inbox struct {
	o     Options
	store *store
	trunk Trunk // nil until Bind
	pause func(context.Context) error

	queue queue

	received, acked, dropped atomic.Uint64
	damaged                  int
	status                   atomic.Pointer[Status]

	running sync.Map // by name, a *running
}

// Open looks at what the disk holds. The error is an [ErrNewer], or one of the
// store.
func Open(o Options) (*Inbox, error) {
	s, err := openStore(o.Disk)
	if err != nil {
		return nil, err
	}
	return &Inbox{o: o, store: s, queue: queue{copied: make(map[uint64]struct{})}}, nil
}

// Trunk is what an inbox needs of the node; see [actors.Node], which has it.
type Trunk interface {
	System() *actor.ActorSystem
	NewID() uint64
	Plain() *actors.Messaging
}

var _ Trunk = actors.Node{}

// Bind says of which node the inbox is. Pause waits a moment before the actor is
// asked again, or until ctx ends; it returns [ErrClosed] when the node has ended.
// Bind is called once, before the node's actors start.
func (b *Inbox) Bind(trunk Trunk, pause func(ctx context.Context) error) {
	b.trunk, b.pause = trunk, pause
}

// NewActor makes an incarnation of the actor that hears the node's plain
// messages.
func (b *Inbox) NewActor() actor.Actor { return newKeeper(b) }

// Close writes what is still on its way to the disk, also what had no room, when
// the node's actors have ended. It blocks.
func (b *Inbox) Close() error {
	if b.queue.next == 0 { // what is on the disk was never read; these numbers are free
		b.queue.next = max(1, b.store.reserved)
	}
	changes, next, release := b.queue.rest()
	defer release()
	return b.store.end(changes, next)
}

// Status is how an inbox is.
type Status struct {
	Level
	Limits   Limits
	Full     bool
	Loading  bool   // what is on the disk is not known yet
	Received uint64 // since the start
	Acked    uint64 // since the start
	Damaged  int    // records on the disk that cannot be read
	Err      error  // why it cannot be written; nil: it can
}

// Status returns how the inbox was after the last message.
func (b *Inbox) Status() Status {
	if b == nil {
		return Status{Err: ErrNone}
	}
	if s := b.status.Load(); s != nil {
		return *s
	}
	return Status{Limits: b.o.Limits, Loading: true}
}

// ListenOptions say how to listen.
type ListenOptions struct {
	// All copies what is kept and what comes, whoever else has it, and hands
	// nothing over: such messages cannot be acknowledged by having them. Without
	// it each message goes to one listener at a time.
	All bool
	// Most is how many messages are handed out; 0 is no limit.
	Most int
	// Wait has Listen go on after Most messages, until they are acknowledged, or
	// ctx ends, or for AckGrace. What is not acknowledged then goes to the next
	// listener at once. It is for whoever acknowledges on another goroutine and
	// ends ctx when he gives up.
	Wait bool
	// Name is what [Inbox.HandBack] knows the listener by; empty: by nothing.
	Name string
}

// Listen yields what is kept, oldest first, and what comes, until ctx or the node
// ends; the error, if any, is the last thing. A message that was yielded is
// acknowledged with [Inbox.Ack] by its number. At most 4,096 messages and 4 MiB
// are in hand: Listen waits until some are acknowledged. What was not when the
// loop ends goes to the next listener, in order; after Most messages there are
// another [AckGrace] for that, unless o.Wait is set. After [HandTimeout] it goes to another one that listens.
func (b *Inbox) Listen(ctx context.Context, o ListenOptions) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		if b == nil {
			yield(Message{}, ErrNone)
			return
		}
		p := pull{listener: b.trunk.NewID(), all: o.All}
		var told, lost uint64
		left := o.Most
		if left <= 0 {
			left = math.MaxInt
		}
		ctx, ended := b.named(ctx, o.Name, p.listener)
		defer ended()
		defer func() { b.tell(leave{p.listener, left == 0 && !o.Wait}) }()
		for left > 0 && ctx.Err() == nil {
			p.most = min(left, pulledAtOnce)
			r, ok, err := ask[pulled](b, ctx, p)
			switch {
			case err != nil:
				yield(Message{}, err)
				return
			case !ok:
				continue
			case r.refused:
				yield(Message{}, ErrTooManyListeners)
				return
			}
			p.got++
			told, lost = r.lost, lost+r.lost-told
			for m, err := range b.store.messages(r.seqs) {
				switch {
				case errors.Is(err, kv.ErrNotFound): // acknowledged meanwhile
					p.after = m.Seq
					lost++
					continue
				case err != nil:
					yield(Message{}, err)
					return
				}
				if o.All {
					m.Lost, lost = lost, 0
				}
				if !yield(m, nil) {
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

// settled waits until nothing is in the listener's hand, at most for AckGrace.
func (b *Inbox) settled(ctx context.Context, listener uint64) {
	ctx, cancel := context.WithTimeout(ctx, AckGrace)
	defer cancel()
	for ctx.Err() == nil {
		if _, ok, err := ask[handsFree](b, ctx, await{listener, false}); ok || err != nil {
			return
		}
	}
}

// running is a Listen that has a name.
type running struct {
	cancel   context.CancelFunc
	listener uint64
}

// named lets HandBack end what runs with ctx, until ended is called.
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

// HandBack ends the listener of this name. When it returns nil, what the listener
// has not acknowledged goes to the next one, in order. It does nothing when there
// is no such listener.
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
	for ctx.Err() == nil {
		if _, ok, err := ask[handsFree](b, ctx, await{r.listener, true}); ok || err != nil {
			return err
		}
	}
	return ctx.Err()
}

// Ack says that messages are done with: they are deleted, and none of them comes
// again. It returns when that is synced. A number that is not kept is passed over.
//
// While somebody copies, an acknowledged message that the copy has not had yet
// stays on the disk for it; after a kill -9 such a message comes again.
func (b *Inbox) Ack(ctx context.Context, seqs ...uint64) error {
	if b == nil {
		return ErrNone
	}
	for ctx.Err() == nil {
		if _, ok, err := ask[acked](b, ctx, ack{seqs}); ok || err != nil {
			return err
		}
	}
	return ctx.Err()
}

// pulledAtOnce bounds the messages of one answer, so that listeners share.
const pulledAtOnce = 256

// askAgain is how long one question waits. A restart of the actor forgets the
// question, so that it is asked again.
const askAgain = 5 * time.Second

// ask asks the actor once; neither an answer nor an error means: ask again.
func ask[R any](b *Inbox, ctx context.Context, question any) (r R, ok bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, askAgain)
	defer cancel()
	pid, err := b.trunk.Plain().Handler.Wait(ctx)
	if err == nil && pid != nil {
		if r, err = supervisor.Ask[R](ctx, b.trunk.System(), pid, question); err == nil {
			return r, true, nil
		}
	}
	return r, false, b.pause(ctx) // the actor is perhaps being started again
}

// tell sends the actor a message, if it runs.
func (b *Inbox) tell(m any) {
	if pid, ok := b.keeper(); ok {
		b.trunk.System().Root.Send(pid, m)
	}
}

// keeper returns the inbox's actor. There is none while it has failed, nor when
// its panic policy has stopped it.
func (b *Inbox) keeper() (*actor.PID, bool) {
	pid, _ := b.trunk.Plain().Handler.Get()
	return pid, pid != nil
}
