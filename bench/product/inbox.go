package product

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/bench/harness"
)

// inboxJobs is how many messages wait in the inbox when a case begins.
const inboxJobs = 20_000

// InboxBatched is gamelan/inbox-batched-1KiB: messages of 1 KiB that wait in an inbox, taken by a
// listener that acknowledges 256 at a time itself, until all acknowledgements are on the disk.
func InboxBatched() harness.Case {
	return inboxCase("batched", func(n *gamelan.Node, _ *gate) error {
		var seqs []uint64
		for m, err := range n.Inbox().Listen(context.Background(), gamelan.ListenOptions{Most: inboxJobs}) {
			if err != nil {
				return err
			}
			if seqs = append(seqs, m.Seq); len(seqs) == 256 {
				if err := n.Inbox().Ack(context.Background(), seqs...); err != nil {
					return err
				}
				seqs = seqs[:0]
			}
		}
		return n.Inbox().Ack(context.Background(), seqs...)
	})
}

// InboxLoop is gamelan/inbox-loop-1KiB: the same with Node.Messages.
func InboxLoop() harness.Case {
	return inboxCase("loop", func(n *gamelan.Node, _ *gate) error {
		ctx, enough := context.WithCancel(context.Background())
		defer enough()
		handled := 0
		for _, err := range n.Messages(ctx) {
			if err != nil {
				return err
			}
			if handled++; handled == inboxJobs {
				enough()
			}
		}
		return nil
	})
}

// InboxFunction is gamelan/inbox-function-1KiB: the same with WithMessages.
func InboxFunction() harness.Case {
	return inboxCase("function", func(n *gamelan.Node, g *gate) error {
		g.open()
		return wait(context.Background(), func() bool { return n.Inbox().Status().Acked == inboxJobs })
	})
}

// gate holds the function of WithMessages back until the inbox is filled.
type gate struct {
	once sync.Once
	c    chan struct{}
}

func (g *gate) open() { g.once.Do(func() { close(g.c) }) }

// inboxCase is a case that handles all that waits in an inbox.
func inboxCase(how string, handleAll func(*gamelan.Node, *gate) error) harness.Case {
	return harness.Case{Name: "gamelan/inbox-" + how + "-1KiB", Run: func(m *harness.Meter) (err error) {
		s := &nodes{ctx: m.Context()}
		dir, err := os.MkdirTemp("", "gamelan-inbox-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		g := &gate{c: make(chan struct{})}
		defer func() { g.open(); err = errors.Join(err, s.close()) }()
		opts := []gamelan.Option{gamelan.WithInbox(gamelan.InboxConfig{})}
		if how == "function" {
			opts = append(opts, gamelan.WithMessages(func(context.Context, gamelan.Message) error { <-g.c; return nil }))
		}
		to, err := s.start(gamelan.Config{DataDir: dir}, opts...)
		if err != nil {
			return err
		}
		from, err := s.start(gamelan.Config{})
		if err != nil {
			return err
		}
		if err := connect(s.ctx, from, to); err != nil {
			return err
		}
		if err := fill(s.ctx, from, to); err != nil {
			return err
		}
		return m.Batch(inboxJobs, func() error { return handleAll(to, g) })
	}}
}

// fill sends the messages, and waits until all are kept.
func fill(ctx context.Context, from, to *gamelan.Node) error {
	body := payload(1 << 10)
	for range inboxJobs {
		if _, err := from.Submit(ctx, to.ID(), body); err != nil {
			return fmt.Errorf("fill the inbox: %w", err)
		}
	}
	return wait(ctx, func() bool { return to.Inbox().Status().Messages == inboxJobs })
}
