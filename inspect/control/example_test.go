package control_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"os"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/client"
	"github.com/gamelan-p2p/gamelan/inspect/control"
)

// Two nodes of this program take commands: one sends, the other one is listened to.
func ExampleServe() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	serve := func() (*gamelan.Node, *client.Client) {
		dir, err := os.MkdirTemp("", "node")
		if err != nil {
			log.Fatal(err)
		}
		node, err := gamelan.Start(ctx, gamelan.Config{DataDir: dir, Listen: []string{"/ip4/127.0.0.1/tcp/0"}, NoDHT: true}, gamelan.WithInbox(gamelan.InboxConfig{}))
		if err != nil {
			log.Fatal(err)
		}
		o := node.Inspection().Options
		o.Messages = control.Messages(node)
		s, err := control.Serve(dir, o, control.Actions(node, control.Options{Shutdown: cancel}), slog.Default())
		if err != nil {
			log.Fatal(err)
		}
		context.AfterFunc(ctx, func() { s.Close(ctx); node.Close(context.Background()); os.RemoveAll(dir) })
		return node, client.New(dir, client.Options{})
	}
	_, alice := serve()
	bob, atBob := serve()

	sent, err := alice.Send(ctx, client.Sending{Peer: bob.Seed()}, []byte("hello"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(sent.Outcome.Outcome)
	for m, err := range atBob.Listen(ctx, inspect.Listening{Most: 1}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s\n", m.Body)
		if err := atBob.Acknowledge(ctx, m.Seq); err != nil {
			log.Fatal(err)
		}
	}
	why, err := alice.Why(ctx, bob.ID().String())
	fmt.Println(why.Connected, err)
	_, err = alice.Dial(ctx, "0011223344")
	fmt.Println(err)
	// Output:
	// confirmed
	// hello
	// true <nil>
	// inspect: no peer 0011223344 is known
}
