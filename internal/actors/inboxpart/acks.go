package inboxpart

import (
	"context"
	"slices"
	"sync"
)

// acks are the messages that were handled and that the keeper has not taken out of its box yet. They
// outlive the keeper: the next incarnation takes them, and the end of the inbox writes them.
type acks struct {
	mu   sync.Mutex
	seqs []uint64
}

// add adds a message, and reports whether it is the first one.
func (a *acks) add(seq uint64) (first bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.seqs = append(a.seqs, seq)
	return len(a.seqs) == 1
}

// list returns the messages. They stay until done.
func (a *acks) list() []uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clip(a.seqs)
}

// done removes the first n messages.
func (a *acks) done(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.seqs = a.seqs[n:]; len(a.seqs) == 0 {
		a.seqs = nil
	}
}

// Handled acknowledges a message, without waiting for the disk: those that are handled while it is
// written are deleted together. A kill -9 before that has them come again. While 8,192 deletions wait for
// a disk that fails or is slow, nobody gets further messages. See [Inbox.Settle].
func (b *Inbox) Handled(seq uint64) {
	if b.handled.add(seq) {
		b.tell(handled{})
	}
}

// Settle waits until the deletion of all that was [Inbox.Handled] before is synced.
func (b *Inbox) Settle(ctx context.Context) error { return b.Ack(ctx) }
