package inboxpart

import (
	"context"
	"time"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/words"
)

// Part returns what the inbox shows of itself. Its actors are users' actors: see [Inbox.NewActor].
func (b *Inbox) Part() actors.Part {
	return actors.Part{
		Name:     "inbox",
		Sections: map[string]func(ctx context.Context) any{"inbox": func(ctx context.Context) any { return b.shelfSection(ctx) }},
		Verbs:    b.verbs(),
		Node:     func(v *models.Node) { v.Inbox = b.section() },
		Degraded: func() models.Notices { return degraded(b.section(), b.o.High) },
		Warnings: func() models.Notices { return warnings(b.section()) },
	}
}

// section returns the state of the inbox.
func (b *Inbox) section() *models.Inbox {
	s := b.Status()
	messages, bytes := b.o.OfKind()
	v := &models.Inbox{
		DHTMessages: s.DHT, DHTBytes: s.DHTBytes, MaxMessagesOfKind: messages, MaxBytesOfKind: bytes,
		Messages: s.Messages, MaxMessages: s.MaxMessages, Bytes: s.Bytes, MaxBytes: s.MaxBytes,
		InHand: s.InHand, Dead: s.Dead, Waiting: s.Waiting, WaitingBytes: s.WaitingBytes, Listeners: s.Listeners, Copies: s.Copies,
		Received: s.Received, Acknowledged: s.Acked, Dropped: s.Dropped, Damaged: s.Damaged, Full: s.Full, Untaken: s.Untaken,
	}
	v.Fill = v.Level()
	if s.Oldest != 0 {
		v.OldestAt = time.Unix(0, s.Oldest)
	}
	if s.Err != nil {
		v.Trouble = words.Sentence(s.Err)
	}
	return v
}
