// Broken runs a shop with four faults, to be found by looking at its actors: a handler that is stuck, a
// crash loop, children that never end, and messages to somebody who has gone.
//
//	go run ./examples/broken -dir shop
//	gamelan ui --data-dir shop          # or gamelan top, tree, failures, deadletters
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"log/slog"
	"os"
	"os/signal"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/inspect/control"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

type (
	bill  struct{ of int }
	label struct{ text string }
	visit struct{ by int }
	tick  struct{}
)

// cashier waits for a receipt that nobody prints. An actor must never wait: this one is stuck.
type cashier struct{ receipts chan int }

func (a *cashier) Receive(c actor.Context) {
	if b, ok := c.Message().(bill); ok {
		<-a.receipts
		fmt.Println("bill", b.of, "is paid")
	}
}

// printer cannot print an empty label, and gets one each second: it fails, starts again, and fails.
type printer struct{}

func (printer) Receive(c actor.Context) {
	if l, ok := c.Message().(label); ok {
		fmt.Printf("[%c]\n", l.text[0])
	}
}

// door has an actor for each visitor, and none of them ever leaves: they only become more.
type door struct{}

func (door) Receive(c actor.Context) {
	if v, ok := c.Message().(visit); ok {
		supervisor.Spawn(c, supervisor.Spec{Name: fmt.Sprint("visitor-", v.by), New: idle})
	}
}

// idle does nothing with any message.
func idle() actor.Actor { return actor.ReceiveFunc(func(actor.Context) {}) }

// keeper runs the shop: at each tick it gives everybody something to do. It writes to a lodger who has moved out.
type keeper struct {
	node   *gamelan.Node
	lodger *actor.PID
	n      int
}

func (a *keeper) Receive(c actor.Context) {
	switch c.Message().(type) {
	case *actor.Started:
		a.lodger = supervisor.Spawn(c, supervisor.Spec{Name: "lodger", New: idle})
		c.Stop(a.lodger)
		supervisor.Every(c, time.Second, tick{})
	case tick:
		a.n++
		for name, m := range map[string]any{"cashier": bill{a.n}, "printer": label{}, "door": visit{a.n}} {
			if pid, ok := a.node.Actor(name); ok {
				c.Send(pid, m)
			}
		}
		c.Send(a.lodger, label{"a letter"})
	}
}

func main() {
	log.SetFlags(0)
	dir := flag.String("dir", "shop", "directory of the node")
	flag.Parse()
	slog.SetLogLoggerLevel(slog.LevelError)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *dir); err != nil {
		log.Fatal(err) // it names the cashier, who is stuck
	}
}

func run(ctx context.Context, dir string) error {
	node, err := gamelan.Start(ctx, gamelan.Config{DataDir: dir},
		gamelan.WithActor("cashier", func(*gamelan.Node) actor.Actor { return &cashier{make(chan int)} }),
		gamelan.WithActor("printer", func(*gamelan.Node) actor.Actor { return printer{} }),
		gamelan.WithActor("door", func(*gamelan.Node) actor.Actor { return door{} }),
		gamelan.WithActor("keeper", func(n *gamelan.Node) actor.Actor { return &keeper{node: n} }))
	if err != nil {
		return err
	}
	// Others may look inside, and restart what is wrong. With gamelan.WithInspector they could only look.
	api, err := control.Serve(dir, node.Inspection().Options, control.Actions(node, control.Options{}), slog.Default())
	if err != nil {
		return err
	}
	fmt.Println("The shop is open, and four things are wrong. Look inside: gamelan ui --data-dir", dir)
	<-ctx.Done()
	end, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	return errors.Join(api.Close(end), node.Close(end))
}
