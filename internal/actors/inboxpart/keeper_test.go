package inboxpart

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/messengers"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/internal/protocol/outcomes"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// testCredit counts how often the credit of a message was given back, and how often because
// the message was dropped.
type testCredit struct{ back, dropped *atomic.Int32 }

func (l testCredit) Finish()                   {}
func (l testCredit) Refuse()                   { l.Discard() }
func (l testCredit) Discard()                  { l.dropped.Add(1); l.back.Add(1) }
func (l testCredit) Keep() func()              { return func() { l.back.Add(1) } }
func (l testCredit) Source() supervisor.Source { return nil }
func (l testCredit) message() (m dht.Received) {
	m.Type, m.Credit = 1225, l
	return m
}

// startKeeper runs a keeper in a tree of its own.
func startKeeper(t *testing.T, d kv.Client, l Limits, tell ...outcomes.Senders) (b *Inbox, send func(m any), stop func()) {
	t.Helper()
	b, err := Open(Options{Limits: l, Disk: d, Marks: marksOf(d), Wall: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range tell {
		b.Tell(s)
	}
	quiet := slog.New(slog.DiscardHandler)
	sys := actor.NewActorSystem()
	pid := sys.NewLocalPID("test/node/handler")
	fake := fakeTrunk{sys, new(messengers.Messaging), new(atomic.Bool), new(atomic.Uint64)}
	fake.plain.Handler.Open(pid)
	var root *supervisor.Root
	b.Bind(fake, func(ctx context.Context) error {
		if root.Err() != nil {
			return ErrClosed
		}
		time.Sleep(time.Millisecond)
		return nil
	})
	root, err = supervisor.Start(sys, "test", supervisor.Spec{
		Name: "node", New: supervisor.Group(supervisor.Spec{Name: "handler", New: b.NewActor}),
	}, supervisor.Options{Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	stop = func() {
		root.Stop(context.Background(), nil)
		<-root.Done()
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
	return b, func(m any) { sys.Root.Send(pid, m) }, stop
}

// beside is another client of a disk.
type beside struct{ *faultyDisk }

func marksOf(d kv.Client) kv.Client {
	switch d := d.(type) {
	case *faultyDisk:
		return beside{d}
	case *unreadableDisk:
		return beside{d.faultyDisk}
	}
	return nil
}

func (b beside) Apply(batch *kv.Batch, _ bool) error {
	if b.marks != nil {
		b.marks()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fails {
		return kv.ErrFailed
	}
	return b.DB.Apply(batch, false)
}

func waitUntil(t *testing.T, b *Inbox, what string, ok func(s actors.InboxStatus) bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(b.Status()); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain until %s: %+v", what, b.Status())
		}
	}
}

// TestKeeperOfAFailedDisk: while the disk fails, messages keep their credit and
// the status says why; when it works again nothing is missing, also not what was
// taken before without a sync.
func TestKeeperOfAFailedDisk(t *testing.T) {
	d := newFaultyDisk()
	b, send, stop := startKeeper(t, d, Limits{Bytes: 1 << 20, Messages: 100})
	var back, dropped atomic.Int32
	receive := func(n int) {
		m := testCredit{&back, &dropped}.message()
		m.Body = fmt.Append(nil, n)
		send(m)
	}
	receive(1)
	receive(2)
	waitUntil(t, b, "two are kept", func(s actors.InboxStatus) bool { return s.Messages == 2 && back.Load() == 2 })
	d.fail()
	receive(3)
	receive(4)
	waitUntil(t, b, "it is said that the disk fails", func(s actors.InboxStatus) bool { return errors.Is(s.Err, kv.ErrFailed) })
	time.Sleep(20 * time.Millisecond)
	if back.Load() != 2 {
		t.Errorf("got the credit of %d messages back, want that of the two that are written", back.Load())
	}
	full := b.trunk.(fakeTrunk).full
	if !full.Load() {
		t.Error("peers are not told that messages wait for the disk")
	}
	d.reopen()
	waitUntil(t, b, "the disk works again", func(s actors.InboxStatus) bool { return s.Err == nil && back.Load() == 4 })
	if full.Load() {
		t.Error("peers are told that messages wait for the disk, which works again")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	n := 0
	for m, err := range b.Listen(ctx, actors.ListenOptions{Most: 4}) {
		if n++; err != nil || string(m.Body) != fmt.Sprint(n) {
			t.Fatalf("got %q, %v, want %d", m.Body, err, n)
		}
		if err := b.Ack(ctx, m.Seq); err != nil {
			t.Fatal(err)
		}
	}
	if n != 4 {
		t.Errorf("got %d messages, want 4", n)
	}
	stop()
}

// TestKeeperPassesDamageOver: a record that is damaged while the node runs is handed to no listener,
// stops none, is counted once, and gives its room to others. It is left on the disk, also by
// the next start.
func TestKeeperPassesDamageOver(t *testing.T) {
	d := newFaultyDisk()
	limits := Limits{Bytes: 1 << 20, Messages: 3}
	b, send, stop := startKeeper(t, d, limits)
	for n := range 4 {
		send(actors.Received{Body: fmt.Append(nil, n+1)})
	}
	waitUntil(t, b, "three are on the disk", func(s actors.InboxStatus) bool { // what is being written counts, too
		_, err := d.Get(messageKey(3))
		return err == nil && s.Messages == 3 && s.Waiting == 1
	})
	broken := []byte("damaged")
	batch := new(kv.Batch)
	batch.Set(messageKey(1), broken)
	batch.Set(messageKey(2), broken)
	if err := d.Apply(batch, true); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	listen := func(what string, o actors.ListenOptions, want ...string) {
		t.Helper()
		var got []string
		for m, err := range b.Listen(ctx, o) {
			if err != nil {
				t.Fatalf("%s: got %v after %q", what, err, got)
			}
			if got = append(got, string(m.Body)); o.All && len(got) == 1 && m.Lost != 2 {
				t.Errorf("%s: got %d lost, want the damaged ones", what, m.Lost)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", what, got, want)
		}
	}
	listen("a copier", actors.ListenOptions{All: true, Most: 2}, "3", "4")
	listen("a listener", actors.ListenOptions{Most: 1}, "3")
	listen("the next one", actors.ListenOptions{Most: 1}, "4")
	waitUntil(t, b, "two are counted", func(s actors.InboxStatus) bool { return s.Damaged == 2 && s.Messages == 2 && s.Waiting == 0 })
	stop()
	if value, err := d.Get(messageKey(2)); err != nil || !bytes.Equal(value, broken) {
		t.Errorf("got %q, %v on the disk, want the damaged record", value, err)
	}
	b, _, stop = startKeeper(t, d, limits)
	defer stop()
	waitUntil(t, b, "the next start counts them", func(s actors.InboxStatus) bool { return s.Damaged == 2 && s.Messages == 2 })
	listen("after a restart", actors.ListenOptions{Most: 2}, "3", "4")
}

// TestKeeperStops: at an orderly end everything is on the disk, also what had no
// room, and all credit is back.
func TestKeeperStops(t *testing.T) {
	d := newFaultyDisk()
	b, send, stop := startKeeper(t, d, Limits{Bytes: 1 << 20, Messages: 3})
	for n := range 5 {
		send(actors.Received{Body: fmt.Append(nil, n)})
	}
	waitUntil(t, b, "two wait", func(s actors.InboxStatus) bool { return s.Messages == 3 && s.Waiting == 2 && s.Full })
	var back, dropped atomic.Int32
	send(testCredit{&back, &dropped}.message())
	waitUntil(t, b, "one is dropped", func(s actors.InboxStatus) bool { return s.Dropped == 1 && back.Load() == 1 })
	if dropped.Load() != 1 {
		t.Error("the credit says that the dropped message was handled")
	}
	stop()
	s, err := openStore(d, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(stored(t, s)); got != "[1 2 3 4 5]" {
		t.Errorf("got messages %s on the disk, want 1 to 5", got)
	}
}

// TestKeeperStopsOverAFailedDisk: the end of the inbox says how many messages of whom are not on
// the disk.
func TestKeeperStopsOverAFailedDisk(t *testing.T) {
	d := newFaultyDisk()
	in, err := Open(Options{Limits: Limits{Bytes: 1 << 20, Messages: 3}, Disk: d})
	if err != nil {
		t.Fatal(err)
	}
	d.fail()
	for i := range 5 {
		in.queue.fresh = append(in.queue.fresh, &item{peer: identity.NodeID{byte(i % 2)}, body: 10, record: make([]byte, 20), release: func() {}})
	}
	err = in.Close()
	left, ok := errors.AsType[*UnwrittenError](err)
	want := map[identity.NodeID]messengers.Loss{{0}: {Messages: 3, Bytes: 30}, {1}: {Messages: 2, Bytes: 20}}
	if !ok || !errors.Is(err, kv.ErrFailed) || !maps.Equal(left.Of, want) || !maps.Equal(in.Unwritten().Losses(), want) {
		t.Fatalf("got %v, want %v unwritten because of the disk", err, want)
	}
	if text := err.Error(); !strings.HasPrefix(text, "5 messages of 2 peers with 50 bytes may be confirmed") {
		t.Errorf("got %q, want the sum of it", text)
	}
	d.reopen()
	if err := in.Close(); err != nil || in.Unwritten() != nil {
		t.Errorf("of a disk that works: got %v and %v left, want nothing left", err, in.Unwritten())
	}
}

// TestKeeperRemembersShares: what a peer and an author have on the disk counts for them after
// a restart.
func TestKeeperRemembersShares(t *testing.T) {
	d, limits := newFaultyDisk(), Limits{Bytes: 1 << 20, Messages: 40, DHT: true}
	var back, dropped atomic.Int32
	over := func(peer, author byte) dht.Received {
		m := testCredit{&back, &dropped}.message()
		m.Peer[0], m.From[0] = peer, author
		return m
	}
	b, send, stop := startKeeper(t, d, limits)
	const ofAuthor, most = 6, 10 // (40-10-5)/4, (40-10-9)/2
	for range ofAuthor {
		send(over(1, 1))
	}
	for range most - ofAuthor {
		send(over(1, 3))
	}
	waitUntil(t, b, "they are kept", func(s actors.InboxStatus) bool { return s.Messages == most && s.DHT == most && back.Load() == most })
	stop()
	b, send, stop = startKeeper(t, d, limits)
	defer stop()
	send(over(1, 2))
	send(over(2, 1))
	waitUntil(t, b, "two are dropped", func(s actors.InboxStatus) bool { return s.Dropped == 2 })
	send(over(2, 2))
	waitUntil(t, b, "one of others is kept", func(s actors.InboxStatus) bool { return s.Messages == most+1 })
	if got := dropped.Load(); got != 2 {
		t.Errorf("the credit says that %d messages were dropped, want 2", got)
	}
}

// fakeTrunk is a node with plain messages and nothing else.
type fakeTrunk struct {
	system *actor.ActorSystem
	plain  *messengers.Messaging
	full   *atomic.Bool
	last   *atomic.Uint64 // the last id
}

func (f fakeTrunk) System() *actor.ActorSystem { return f.system }
func (f fakeTrunk) Now() time.Time             { return time.Now() }

func (f fakeTrunk) SetFull(full bool)            { f.full.Store(full) }
func (f fakeTrunk) NewID() uint64                { return f.last.Add(1) }
func (f fakeTrunk) Plain() *messengers.Messaging { return f.plain }
