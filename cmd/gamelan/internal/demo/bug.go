package demo

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect"
)

// poison is the body of a message that the handler cannot read. bug is what it panics with.
const (
	poison = "not a number"
	bug    = "the handler of the demonstration got something else than a number"
)

// demoBug is what became of the sender's handler, an actor as a user writes it, when it
// panicked on a message.
type demoBug struct {
	Actor    string        `json:"actor"`
	Restarts uint64        `json:"restarts"`
	After    time.Duration `json:"after_ns"` // from the message to the handling of the next one
	Handled  bool          `json:"next_handled"`
}

// right reports whether the handler was restarted once and went on.
func (b demoBug) right() bool { return b.Restarts == 1 && b.Handled }

// crash has the second node send the first one a message on which its handler panics, and
// then one that it can read.
func (d *demo) crash(ctx context.Context) (demoBug, error) {
	to, from := &d.nodes[0], d.nodes[1].node
	pid, ok := to.node.Actor("handler")
	if !ok {
		return demoBug{}, fmt.Errorf("%s has no handler", to.name)
	}
	b, start := demoBug{Actor: pid.Id}, time.Now()
	for _, body := range []string{poison, "0"} {
		o, err := from.Send(ctx, to.node.ID(), []byte(body))
		if err == nil {
			err = o.AsError()
		}
		if err != nil {
			return b, fmt.Errorf("the message %q to %s: %w", body, to.name, err)
		}
	}
	limited, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	b.Handled = wait(limited, func() bool { return to.record.count() > 0 }) == nil
	b.After = time.Since(start)
	tree, err := inspect.Look(ctx, to.node.Inspection().Source, pid.Id, 0)
	if err == nil && len(tree.Branches) > 0 {
		b.Restarts = tree.Branches[0].Actor.Restarts
	}
	return b, err
}

// withoutBug is a slog.Handler that leaves out the record of the panic that is meant to be.
type withoutBug struct{ slog.Handler }

func (h withoutBug) Handle(ctx context.Context, r slog.Record) error {
	meant := false
	r.Attrs(func(a slog.Attr) bool {
		meant = meant || a.Key == "panic" && a.Value.Any() == any(bug)
		return !meant
	})
	if meant {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

func (h withoutBug) WithAttrs(attrs []slog.Attr) slog.Handler {
	return withoutBug{h.Handler.WithAttrs(attrs)}
}

func (h withoutBug) WithGroup(name string) slog.Handler { return withoutBug{h.Handler.WithGroup(name)} }
