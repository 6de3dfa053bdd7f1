package gamelan_test

import (
	"context"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// The Go blocks of docs/actors.md, as they stand there.

type (
	bill struct{ of int }
	sum  struct{}
)

type cashier struct{ unpaid int }

func (a *cashier) print(context.Context, bill) error { return nil }

func (a *cashier) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case bill:
		supervisor.Go(c, "receipt", nil, func(ctx context.Context) error { return a.print(ctx, m) })
	case supervisor.TaskDone:
		if m.Err != nil {
			a.unpaid++
		}
	}
}

func docsSpawn(ctx context.Context, node *gamelan.Node) error {
	pid, err := node.Spawn(ctx, "cashier", func(*gamelan.Node) actor.Actor { return &cashier{} })
	if err != nil {
		return err
	}
	node.System().Root.Send(pid, bill{of: 12})
	return nil
}

func docsAsk(ctx context.Context, node *gamelan.Node, pid *actor.PID) (int, error) {
	total, err := supervisor.Ask[int](ctx, node.System(), pid, sum{})
	return total, err
}

var _ = []any{docsSpawn, docsAsk}
