package supervisor_test

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/supervisor"
)

type (
	add   struct{ fruit string }
	count struct{ fruit string }
)

// store counts fruit. A restart loses the counts.
type store struct{ fruit map[string]int }

func (s *store) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case add:
		if m.fruit == "stone" {
			panic("not a fruit")
		}
		s.fruit[m.fruit]++
	case count:
		c.Respond(s.fruit[m.fruit])
	default:
		supervisor.Unhandled(c)
	}
}

func Example() {
	sys := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
		return slog.New(slog.DiscardHandler)
	}))
	shop := supervisor.Group(supervisor.Spec{
		Name: "store",
		New:  func() actor.Actor { return &store{fruit: make(map[string]int)} },
	})
	root, err := supervisor.Start(sys, "example", supervisor.Spec{Name: "shop", New: shop}, supervisor.Options{
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	store := sys.NewLocalPID("example/shop/store")
	sys.Root.Send(store, add{"apple"})
	sys.Root.Send(store, add{"apple"})
	n, err := supervisor.Ask[int](ctx, sys, store, count{"apple"})
	fmt.Println(n, err)

	sys.Root.Send(store, add{"stone"}) // a panic: the group restarts the store
	sys.Root.Send(store, add{"pear"})  // waits in the mailbox meanwhile
	n, err = supervisor.Ask[int](ctx, sys, store, count{"pear"})
	fmt.Println(n, err)

	for _, i := range root.Snapshot() {
		fmt.Println(i.Path, i.Kind, i.Restarts)
	}
	fmt.Println(root.Stop(ctx, nil))
	// Output:
	// 2 <nil>
	// 1 <nil>
	// example top 0
	// example/shop shop 0
	// example/shop/store store 1
	// <nil>
}

// clock owns a task and a timer; both end with it.
type clock struct{ ticks int }

func (k *clock) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		supervisor.Every(c, time.Millisecond, "tick")
	case string:
		if k.ticks++; k.ticks == 3 {
			supervisor.Do(c, "sum", func(ctx context.Context) (int, error) { // slow work, beside the actor
				return 20 + 22, ctx.Err()
			})
		}
	case supervisor.Done[int]:
		fmt.Println(m.Key, m.Value, m.Err)
		c.Stop(c.Self())
	}
}

func ExampleDo() {
	sys := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
		return slog.New(slog.DiscardHandler)
	}))
	root, err := supervisor.Start(sys, "clocks", supervisor.Spec{Name: "clock", New: func() actor.Actor { return new(clock) }}, supervisor.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	<-root.Done() // the tree ended by itself
	fmt.Println(root.Err())
	// Output:
	// sum 42 <nil>
	// <nil>
}
