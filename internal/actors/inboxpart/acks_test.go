package inboxpart

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/internal/kv"
)

// listened returns the messages that a listener gets at once.
func listened(t *testing.T, b *Inbox, most int) (seqs []uint64) {
	t.Helper()
	for m, err := range b.Listen(t.Context(), actors.ListenOptions{Most: most}) {
		if err != nil {
			t.Fatal(err)
		}
		seqs = append(seqs, m.Seq)
	}
	return seqs
}

// TestHandledGoTogether: messages that are handled while the disk syncs are deleted together, and
// after Settle they are deleted from what is synced.
func TestHandledGoTogether(t *testing.T) {
	d := newFaultyDisk()
	b, send, stop := startKeeper(t, d, Limits{Bytes: 1 << 20, Messages: 1000})
	const n = 300
	for i := range n {
		send(actors.Received{Body: fmt.Append(nil, i)})
	}
	waitUntil(t, b, "all are kept", func(s actors.InboxStatus) bool { return s.Messages == n })
	seqs := listened(t, b, n)
	d.mu.Lock() // the disk syncs
	for _, seq := range seqs {
		b.Handled(seq)
	}
	before := d.syncs
	d.mu.Unlock()
	if err := b.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := d.syncs - before; got > 4 {
		t.Errorf("got %d syncs for %d messages, want them together", got, n)
	}
	if s := b.Status(); s.Messages != 0 || s.Acked != n {
		t.Errorf("got %+v, want all acknowledged", s)
	}
	d.reopen()
	stop()
	s, err := openStore(d, nil)
	if err != nil {
		t.Fatal(err)
	}
	if left := stored(t, s); len(left) > 0 {
		t.Errorf("got %d messages on the disk after Settle, want none", len(left))
	}
}

// TestHandledOutlivesTheKeeper: what was handled when no keeper could hear of it is not handed out
// by the next one, and is not on the disk after the end.
func TestHandledOutlivesTheKeeper(t *testing.T) {
	d := newFaultyDisk()
	b, send, stop := startKeeper(t, d, Limits{Bytes: 1 << 20, Messages: 100})
	for i := range 5 {
		send(actors.Received{Body: fmt.Append(nil, i)})
	}
	waitUntil(t, b, "all are kept", func(s actors.InboxStatus) bool { return s.Messages == 5 })
	stop()

	b, _, stop = startKeeper(t, d, Limits{Bytes: 1 << 20, Messages: 100})
	b.handled.add(1) // before the messages on the disk are read: whoever listens first does not get it
	waitUntil(t, b, "they are read", func(s actors.InboxStatus) bool { return !s.Loading })
	b.Handled(2)
	if got := fmt.Sprint(listened(t, b, 2)); got != "[3 4]" {
		t.Errorf("got %s, want what was not handled", got)
	}
	b.handled.add(4) // no keeper hears of it
	stop()

	b, _, stop = startKeeper(t, d, Limits{Bytes: 1 << 20, Messages: 100})
	defer stop()
	if got := fmt.Sprint(listened(t, b, 2)); got != "[3 5]" {
		t.Errorf("after the end got %s, want what was not handled", got)
	}
}

// TestHandledOverAFailedDisk: while the disk fails, a listener cannot go on for ever, as all would
// be handled again after a kill; when the disk works again it goes on.
func TestHandledOverAFailedDisk(t *testing.T) {
	d := newFaultyDisk()
	b, send, stop := startKeeper(t, d, Limits{Bytes: 64 << 20, Messages: 60_000})
	defer stop()
	const n = 15_000
	var back, dropped atomic.Int32
	for range n {
		send(testCredit{&back, &dropped}.message())
	}
	waitUntil(t, b, "all are written", func(actors.InboxStatus) bool { return back.Load() == n })
	d.fail()
	handled, stood := 0, make(chan bool, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // a machine may be busy
	defer cancel()
	for m, err := range b.Listen(ctx, actors.ListenOptions{Most: n}) {
		if err != nil {
			t.Fatal(err)
		}
		b.Handled(m.Seq)
		handled++
		if handled == batchForgets {
			waitUntil(t, b, "it is said that the disk fails", func(s actors.InboxStatus) bool { return errors.Is(s.Err, kv.ErrFailed) })
			go func() {
				waitUntil(t, b, "nobody gets more", func(s actors.InboxStatus) bool { return s.InHand == 0 && s.Messages > 0 })
				if got := n - b.Status().Messages; got > batchForgets+pulledAtOnce {
					t.Errorf("got %d messages handled over a disk that fails, want no more than %d", got, batchForgets+pulledAtOnce)
				}
				stood <- true
				d.reopen()
			}()
		}
	}
	if handled != n || len(stood) != 1 {
		t.Fatalf("got %d messages handled, %d times that it stood still; want %d and once", handled, len(stood), n)
	}
	if err := b.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
}
