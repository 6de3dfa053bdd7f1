package inboxpart

import (
	"context"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/supervisor"
)

// handing is an answer to a pull that waits until the disk says of its messages that they were handed out.
type handing struct {
	reply            // of a pull without to
	last     *answer // of a pull; nil: it is none
	listener uint64  // of the pull
	since    time.Time
	marks    []change
	handed   uint64
}

// renew leaves the listener what waits for it: its minute begins when it gets the answer.
func (h *handing) renew(b *Box, now time.Time) {
	if h.last == nil || now.Sub(h.since) <= HandTimeout/2 {
		return
	}
	for _, seq := range h.last.seqs {
		b.Renew(now, h.listener, seq)
	}
}

// hand answers a pull when the disk says that its messages were handed out.
func (k *keeper) hand(c actor.Context, p *puller, last *answer, r pulled) {
	q := &k.in.queue
	h := handing{last: last, listener: p.listener, since: supervisor.Now(c)}
	for _, seq := range r.seqs {
		t := k.box.Tries(seq)
		r.tries = append(r.tries, t.N)
		if said, ok := q.marked[seq]; ok && said == t {
			continue
		} else if ok || t.N > 1 || k.box.Topic(seq) != "" {
			h.marks = append(h.marks, q.mark(seq, t))
		} else if seq > q.handed {
			q.handed, h.handed = seq, seq
		}
	}
	h.answer = r
	last.n, last.pulled, last.to = last.n+1, r, p.from
	k.afterMarks(c, h)
}

// afterMarks sends an answer when its marks, and those of answers before it, are on the disk.
func (k *keeper) afterMarks(c actor.Context, h handing) {
	if k.in.store.marks == nil || h.marks == nil && h.handed == 0 && len(k.handing) == 0 {
		h.send(c)
		return
	}
	k.handing = append(k.handing, h)
	k.mark(c)
}

func (h *handing) send(c actor.Context) {
	to := h.to
	if h.last != nil {
		to, h.last.to = h.last.to, nil
	}
	c.Send(to, h.answer)
}

// mark writes the marks of all answers that wait for that, unless some are being written.
func (k *keeper) mark(c actor.Context) {
	if k.marking > 0 || len(k.handing) == 0 {
		return
	}
	k.marking = len(k.handing)
	var marks []change
	var handed uint64
	for _, h := range k.handing {
		marks, handed = append(marks, h.marks...), max(handed, h.handed)
	}
	store := k.in.store
	supervisor.Do(c, "mark", func(context.Context) (marked, error) { store.mark(marks, handed); return marked{}, nil })
}

// handOver sends the answers whose marks are written.
func (k *keeper) handOver(c actor.Context) {
	for i := range k.handing[:k.marking] {
		k.handing[i].renew(k.box, supervisor.Now(c))
		k.handing[i].send(c)
	}
	k.handing = slices.Delete(k.handing, 0, k.marking)
	k.marking = 0
	k.mark(c)
}
