package inboxpart

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/protocol/outcomes"
)

// told is who knows the senders, and notes what it is told. None of them waits for the disk.
type told struct {
	mu                                   sync.Mutex
	kept, handled, dropped, lost, loaded []outcomes.MessageID
	states, stored                       int
}

func (s *told) note(all *[]outcomes.MessageID, ids []outcomes.MessageID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*all = append(*all, ids...)
}

func (s *told) States(kept, handled, _ []outcomes.MessageID) (states []outcomes.Remembered, sync bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range append(kept, handled...) {
		states = append(states, outcomes.Remembered{From: id.From, Epoch: id.Epoch, State: fmt.Append(nil, id.Number)})
	}
	s.states += len(states)
	return states, false
}

func (s *told) Stored(states []outcomes.Remembered) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stored += len(states)
}
func (s *told) Lost(ids []outcomes.MessageID)    { s.note(&s.lost, ids) }
func (s *told) Loaded(ids []outcomes.MessageID)  { s.note(&s.loaded, ids) }
func (s *told) Kept(ids []outcomes.MessageID)    { s.note(&s.kept, ids) }
func (s *told) Handled(ids []outcomes.MessageID) { s.note(&s.handled, ids) }
func (s *told) Dropped(ids []outcomes.MessageID) { s.note(&s.dropped, ids) }

func withID(n uint64) actors.Received {
	return actors.Received{From: identity.PublicKey{1}, ID: actors.MessageID{Epoch: 7, Number: n}, Body: fmt.Append(nil, n)}
}

// TestSendersAreTold: who knows the senders is told what is synced, also if the store has synced it by itself: the first
// message sets numbers aside.
func TestSendersAreTold(t *testing.T) {
	s := new(told)
	b, send, stop := startKeeper(t, newFaultyDisk(), Limits{Bytes: 1 << 20, Messages: 1000}, s)
	send(withID(1))
	waitUntil(t, b, "the sender is told", func(actors.InboxStatus) bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.kept) == 1 && s.stored == 1
	})
	for m, err := range b.Listen(t.Context(), actors.ListenOptions{Most: 1}) {
		if err != nil || b.Ack(t.Context(), m.Seq) != nil {
			t.Fatal(err)
		}
	}
	if len(s.handled) != 1 || s.handled[0].Number != 1 || s.stored != 2 {
		t.Errorf("got %+v, want that the message was handled", s)
	}
	stop()
}

// unreadableDisk is a disk whose messages cannot be read.
type unreadableDisk struct {
	*faultyDisk
	fails, tried atomic.Bool
}

func (d *unreadableDisk) Scan(prefix []byte) (iter.Seq2[[]byte, []byte], func() error) {
	if d.fails.Load() && prefix[1] == keyMessage {
		d.tried.Store(true)
		return func(func(_, _ []byte) bool) {}, func() error { return errors.New("unreadable") }
	}
	return d.faultyDisk.Scan(prefix)
}

// TestEndBeforeTheDiskIsRead: messages that came while the disk could not be read are written at the end,
// as the store's states of their senders say.
func TestEndBeforeTheDiskIsRead(t *testing.T) {
	d := &unreadableDisk{faultyDisk: newFaultyDisk()}
	d.fails.Store(true)
	s := new(told)
	b, send, stop := startKeeper(t, d, Limits{Bytes: 1 << 20, Messages: 1000}, s)
	for n := range uint64(3) {
		send(withID(n + 1))
	}
	waitUntil(t, b, "all have come, and the disk cannot be read", func(s actors.InboxStatus) bool { return s.Received == 3 && d.tried.Load() })
	stop()
	d.fails.Store(false)
	b, _, stop = startKeeper(t, d, Limits{Bytes: 1 << 20, Messages: 1000}, new(told))
	waitUntil(t, b, "all are there", func(s actors.InboxStatus) bool { return s.Messages == 3 })
	stop()
	if s.states != 3 {
		t.Errorf("got %d states written, want 3", s.states)
	}
}

// TestAcknowledgedBesideACopier: what was acknowledged, and is kept for a listener that copies, counts as handled for its sender. After a
// kill it does not come again.
func TestAcknowledgedBesideACopier(t *testing.T) {
	d := newFaultyDisk()
	limits := Limits{Bytes: 1 << 20, Messages: 1000}
	s := new(told)
	b, send, _ := startKeeper(t, d, limits, s)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	copier := func(b *Inbox) { // it stands still at its first message
		for range b.Listen(ctx, actors.ListenOptions{All: true}) {
			<-ctx.Done()
		}
	}
	go copier(b)
	waitUntil(t, b, "it listens", func(s actors.InboxStatus) bool { return s.Copies == 1 })
	for n := range uint64(4) {
		send(withID(n + 1))
	}
	waitUntil(t, b, "all are on the disk", func(actors.InboxStatus) bool { // Ack ignores what is being written
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.kept) == 4
	})
	if err := b.Ack(t.Context(), 2, 3); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	if len(s.handled) != 2 || s.handled[0].Number != 2 || s.handled[1].Number != 3 {
		t.Errorf("got %v handled, want the second and the third", s.handled)
	}
	s.mu.Unlock()

	s = new(told)
	b, _, stop := startKeeper(t, d, limits, s) // the one before was killed: nothing of it was closed
	waitUntil(t, b, "the rest is read", func(s actors.InboxStatus) bool { return s.Messages == 2 })
	var got []uint64
	for m, err := range b.Listen(t.Context(), actors.ListenOptions{Most: 2}) {
		if err != nil || b.Ack(t.Context(), m.Seq) != nil {
			t.Fatal(err)
		}
		got = append(got, m.Seq)
	}
	if !slices.Equal(got, []uint64{1, 4}) {
		t.Errorf("got %v after the kill, want those that were not acknowledged", got)
	}
	stop()
	left := 0
	entries, scanErr := d.Scan([]byte{keyPrefix, keyAcked})
	for range entries {
		left++
	}
	if err := scanErr(); err != nil || left > 0 {
		t.Errorf("got %d notes left on the disk, %v, want none", left, err)
	}
}
