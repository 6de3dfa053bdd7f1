package inboxpart

import (
	"errors"
	"fmt"
	"iter"
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
