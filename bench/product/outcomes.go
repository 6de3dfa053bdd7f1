package product

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/bench/harness"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// senders is how many nodes send at once in Kept and Handled.
const senders = 3

// Kept is gamelan/kept-1KiB: three nodes send messages of 1 KiB to an inbox; an operation is an outcome
// that says kept. Nobody handles them, and the inbox has room for all.
func Kept() harness.Case {
	return outcomes("kept-1KiB", senders, gamelan.Kept(), func(m *harness.Meter, to *gamelan.Node, from []*gamelan.Node) error {
		return flowing(m, to, from, gamelan.Kept())
	})
}

// KeptOne is gamelan/kept-one-1KiB: one message at a time, until it is kept.
func KeptOne() harness.Case {
	return outcomes("kept-one-1KiB", 1, gamelan.Kept(), func(m *harness.Meter, to *gamelan.Node, from []*gamelan.Node) error {
		return oneByOne(m, to, from[0], gamelan.Kept())
	})
}

// Handled is gamelan/handled-1KiB: three nodes send messages of 1 KiB to a function that does nothing; an
// operation is an outcome that says handled.
func Handled() harness.Case {
	return outcomes("handled-1KiB", senders, nil, func(m *harness.Meter, to *gamelan.Node, from []*gamelan.Node) error {
		return flowing(m, to, from, gamelan.Handled())
	})
}

// HandledOne is gamelan/handled-one-1KiB: one message at a time, until it is handled.
func HandledOne() harness.Case {
	return outcomes("handled-one-1KiB", 1, nil, func(m *harness.Meter, to *gamelan.Node, from []*gamelan.Node) error {
		return oneByOne(m, to, from[0], gamelan.Handled())
	})
}

// outcomes is a case with a receiver, which has an inbox if messages are kept, and n senders.
func outcomes(name string, n int, kept gamelan.SendOption, run func(*harness.Meter, *gamelan.Node, []*gamelan.Node) error) harness.Case {
	return harness.Case{Name: "gamelan/" + name, Run: func(m *harness.Meter) (err error) {
		s := &nodes{ctx: m.Context()}
		dir, err := os.MkdirTemp("", "gamelan-outcomes-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		defer func() { err = errors.Join(err, s.close()) }()
		opt := gamelan.WithMessages(func(context.Context, gamelan.Message) error { return nil })
		if kept != nil {
			opt = gamelan.WithInbox(gamelan.InboxConfig{MaxBytes: 8 << 30, MaxMessages: 10_000_000})
		}
		to, err := s.start(gamelan.Config{DataDir: dir}, opt)
		if err != nil {
			return err
		}
		from := make([]*gamelan.Node, n)
		for i := range from {
			if from[i], err = s.start(gamelan.Config{}); err != nil {
				return err
			}
			if err := connect(s.ctx, from[i], to); err != nil {
				return err
			}
		}
		return run(m, to, from)
	}}
}

func oneByOne(m *harness.Meter, to, from *gamelan.Node, opt gamelan.SendOption) error {
	body := payload(1 << 10)
	return m.Loop(20, func() error {
		out, err := from.Send(m.Context(), to.ID(), body, opt)
		if err == nil && out.Kind != protocol.Confirmed {
			err = fmt.Errorf("got %v, want confirmed", out)
		}
		return err
	})
}

// flowing has all senders send as fast as they have credit.
func flowing(m *harness.Meter, to *gamelan.Node, from []*gamelan.Node, opt gamelan.SendOption) error {
	ctx, cancel := context.WithCancel(m.Context())
	defer cancel()
	var wg sync.WaitGroup
	var ended atomic.Uint64
	var failed atomic.Pointer[error]
	for _, n := range from {
		pending := make(chan *gamelan.Pending[gamelan.Outcome], 8000)
		wg.Go(func() {
			defer close(pending)
			for body := payload(1 << 10); ctx.Err() == nil; {
				p, err := n.Submit(ctx, to.ID(), body, opt)
				if err != nil {
					return
				}
				pending <- p
			}
		})
		wg.Go(func() {
			for p := range pending {
				if out := p.Wait(m.Context()); out.Kind == protocol.Confirmed {
					ended.Add(1)
				} else if m.Context().Err() == nil {
					failed.Store(new(fmt.Errorf("got %v, want confirmed", out)))
				}
			}
		})
	}
	m.SetBytes(1 << 10)
	err := m.Flow(ended.Load)
	cancel()
	wg.Wait()
	if f := failed.Load(); f != nil {
		return errors.Join(err, *f)
	}
	return err
}
