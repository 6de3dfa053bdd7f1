package inboxpart

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/internal/actors/messengers"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// TestInboxWhoseActorWasStopped: when a panic policy has stopped the inbox's
// actor for good, messages of the DHT are dropped with their credit, and whoever
// listens or acknowledges waits until the node ends.
func TestInboxWhoseActorWasStopped(t *testing.T) {
	b, err := Open(Options{Limits: Limits{Bytes: 1 << 20, Messages: 10}, Disk: newFaultyDisk()})
	if err != nil {
		t.Fatal(err)
	}
	sys := actor.NewActorSystem()
	fake := fakeTrunk{sys, new(messengers.Messaging), new(atomic.Bool), new(atomic.Uint64)}
	fake.plain.Handler.Open(nil) // as extensions does
	asked := 0
	b.Bind(fake, func(context.Context) error {
		if asked++; asked == 3 {
			return ErrClosed
		}
		return nil
	})
	root, err := supervisor.Start(sys, "test", supervisor.Spec{Name: "ear", New: b.NewTypeActor}, supervisor.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	var back, dropped atomic.Int32
	sys.Root.Send(root.PID(), testCredit{&back, &dropped}.message())
	for _, err := range b.Listen(t.Context(), actors.ListenOptions{}) {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("listen: got %v, want ErrClosed", err)
		}
	}
	asked = 2
	if err := b.Ack(t.Context(), 1); !errors.Is(err, ErrClosed) {
		t.Errorf("ack: got %v, want ErrClosed", err)
	}
	for _, a := range root.Snapshot() {
		if a.LastFailure != nil {
			t.Errorf("%s: got %v, want no panic", a.Path, a.LastFailure)
		}
	}
	for end := time.Now().Add(30 * time.Second); b.dropped.Load() == 0 && time.Now().Before(end); time.Sleep(time.Millisecond) {
	}
	root.Stop(context.Background(), nil)
	<-root.Done()
	if got := b.dropped.Load(); got != 1 || dropped.Load() != 1 {
		t.Errorf("got %d messages dropped, the credit says %d, want 1", got, dropped.Load())
	}
}

// TestClosedWithoutDisk: when the inbox closes, the messages over the DHT that it cannot write
// are refused, so that they come again. The written ones are finished.
func TestClosedWithoutDisk(t *testing.T) {
	for _, works := range []bool{false, true} {
		d := newFaultyDisk()
		b, err := Open(Options{Limits: Limits{Bytes: 1 << 20, Messages: 100}, Disk: d, Wall: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		var released, refused int
		add := func(list *[]*item, seq uint64, over bool) {
			x := &item{seq: seq, record: record(seq), release: func() { released++ }}
			if over {
				x.entry.Over, x.refuse = new(Over), func() { refused++ }
			}
			*list = append(*list, x)
		}
		q := &b.queue
		q.next = 2
		add(&q.ready, 1, true)
		add(&q.waiting, 0, false)
		add(&q.fresh, 0, true)
		if !works {
			d.fail()
		}
		if err := b.Close(); (err == nil) != works {
			t.Errorf("works %v: got %v", works, err)
		}
		want := 1 // the plain one, which nobody sends again
		if works {
			want = 3
		}
		if released != want || refused != 3-want {
			t.Errorf("works %v: got %d released, %d refused, want %d and %d", works, released, refused, want, 3-want)
		}
	}
}
