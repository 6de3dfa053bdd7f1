// Hello runs two nodes and an actor of its own in one actor system. The actor sends a
// greeting from one node to the other. Then the program prints the trees of actors.
//
//	go run github.com/gamelan-p2p/gamelan/examples/hello
package main

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"os"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/transport/memory"
)

// greet asks the greeter to say hello to a peer.
type greet struct{ peer identity.NodeID }

// greeter is this program's own actor. It sends through the node and never waits: the
// outcome comes as a message.
type greeter struct {
	node     *gamelan.Node
	outcomes chan<- gamelan.Outcome
}

func (g greeter) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case greet:
		g.node.SendFrom(c, 0, m.peer, []byte("Hello, Bob!"))
	case gamelan.Sent:
		g.outcomes <- m.Outcome
	}
}

func main() {
	log.SetFlags(0)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	// Both nodes and the program's own actor share one actor system.
	system := gamelan.NewSystem(slog.Default())
	start := func(opts ...gamelan.Option) (*gamelan.Node, error) {
		opts = append(opts, gamelan.WithSystem(system), gamelan.WithTransport(memory.Default().Transport()))
		return gamelan.Start(ctx, gamelan.Config{Listen: []string{"/memory/0"}}, opts...)
	}
	alice, err := start()
	if err != nil {
		return err
	}
	defer alice.Close(context.Background())
	// Bob's handler is an actor in his node's tree; Handle makes it from a function.
	// After a panic the actor is restarted, unless gamelan.OnPanic says otherwise, and
	// Alice keeps her connection.
	heard := make(chan gamelan.Received, 1)
	bob, err := start(gamelan.WithHandler(gamelan.Handle(func(m gamelan.Received) { heard <- m })))
	if err != nil {
		return err
	}
	defer bob.Close(context.Background())
	fmt.Printf("Alice is %s on %s\nBob   is %s on %s\n\n", alice.ID(), alice.Listening()[0], bob.ID(), bob.Listening()[0])

	// A seed tells one node the key and the addresses of another.
	if _, err := alice.Peers().AddSeed(ctx, bob.Seed()); err != nil {
		return err
	}
	outcomes := make(chan gamelan.Outcome, 1)
	pid, err := alice.Spawn(ctx, "greeter", func(n *gamelan.Node) actor.Actor { return greeter{n, outcomes} })
	if err != nil {
		return err
	}
	system.Root.Send(pid, greet{bob.ID()})

	outcome := <-outcomes // every message has exactly one outcome
	if err := outcome.AsError(); err != nil {
		return fmt.Errorf("message of Alice: %w", err)
	}
	m := <-heard
	fmt.Printf("Bob heard %q from %s.\n", m.Body, m.Peer)
	fmt.Printf("Alice's message is %v: Bob's end of the connection has read it.\n\n", outcome)

	for _, node := range []*gamelan.Node{alice, bob} {
		if err := inspect.Text(os.Stdout, node.Inspection().Look(ctx), inspect.TextOptions{}); err != nil {
			return err
		}
		fmt.Println()
	}
	return nil
}
