package inboxpart

import (
	"context"
	"errors"
	"iter"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/internal/kv"
)

// Dead yields the messages on the shelf, oldest first. If it yields an error, the error comes last.
func (b *Inbox) Dead(ctx context.Context) iter.Seq2[KeptMessage, error] {
	return func(yield func(KeptMessage, error) bool) {
		r, err := until[shelved](b, ctx, shelf{})
		if err != nil {
			yield(KeptMessage{}, err)
			return
		}
		i := 0
		for m, err := range b.store.messages(r.seqs) {
			m.Attempt = r.tries[i]
			i++
			switch {
			case errors.Is(err, kv.ErrNotFound), errors.Is(err, errRecord): // taken meanwhile, or damaged
			case !yield(m, err) || err != nil:
				return
			}
		}
	}
}

// Retry takes messages off the shelf, without seqs all, and returns how many that were.
func (b *Inbox) Retry(ctx context.Context, seqs ...uint64) (int, error) {
	r, err := until[taken](b, ctx, retry{seqs})
	return r.n, err
}

// Drop deletes messages on the shelf, without seqs all. It returns how many that were, when that is synced.
func (b *Inbox) Drop(ctx context.Context, seqs ...uint64) (int, error) {
	r, err := until[taken](b, ctx, drop{seqs})
	return r.n, err
}

// shelf says what is on the shelf.
func (k *keeper) shelf(c actor.Context) {
	if k.box == nil {
		return // it is asked again
	}
	r := shelved{seqs: k.box.Shelf()}
	for _, seq := range r.seqs {
		r.tries = append(r.tries, k.box.Tries(seq).N)
	}
	c.Respond(r)
}

// retry hands out messages of the shelf again.
func (k *keeper) retry(c actor.Context, m retry) {
	if k.box == nil {
		return
	}
	seqs := k.box.Retry(m.seqs)
	h := handing{reply: reply{c.Sender(), taken{len(seqs)}}}
	for _, seq := range seqs {
		h.marks = append(h.marks, k.in.queue.mark(seq, Tries{}))
	}
	k.afterMarks(c, h)
	k.giveAll(c)
}

// drop deletes messages of the shelf.
func (k *keeper) drop(c actor.Context, m drop) {
	if k.box == nil {
		return
	}
	seqs := k.box.shelved(m.seqs)
	for _, seq := range seqs {
		k.in.queue.drops[seq] = struct{}{}
	}
	k.acks = append(k.acks, reply{c.Sender(), taken{len(seqs)}})
	k.acknowledge(c, seqs)
}
