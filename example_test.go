package gamelan_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
)

// must ends the program at an error.
func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}

// Alice sends a message to Bob, and he answers.
func Example() {
	ctx := context.Background()
	bob := must(gamelan.Start(ctx, gamelan.Config{}, gamelan.WithMessages(func(ctx context.Context, m gamelan.Message) error {
		_, err := m.Reply(ctx, fmt.Appendf(nil, "hello, %s", m.Body))
		return err // an error is logged, a panic restarts the actor that calls this function
	})))
	defer bob.Close(ctx)
	alice := must(gamelan.Start(ctx, gamelan.Config{}))
	defer alice.Close(ctx)
	answers := alice.Messages(ctx)
	peer := must(alice.Peers().AddSeed(ctx, bob.Seed())) // Bob's public key and his address
	fmt.Println(must(alice.Send(ctx, peer, []byte("Alice"))))
	for m, err := range answers {
		fmt.Printf("%s\n", must(m, err).Body)
		break
	}
	// Output:
	// confirmed
	// hello, Alice
}

// The inbox keeps each message on the disk until the loop asks for the next one. So a message
// survives a restart of the node.
func ExampleWithInbox() {
	ctx := context.Background()
	dir := must(os.MkdirTemp("", "gamelan"))
	defer os.RemoveAll(dir)
	start := func() *gamelan.Node {
		return must(gamelan.Start(ctx, gamelan.Config{DataDir: dir}, gamelan.WithInbox(gamelan.InboxConfig{})))
	}
	bob := start()
	alice := must(gamelan.Start(ctx, gamelan.Config{}))
	defer alice.Close(ctx)
	peer := must(alice.Peers().AddSeed(ctx, bob.Seed()))
	for _, text := range []string{"one", "two", "three"} {
		must(alice.Send(ctx, peer, []byte(text)))
	}
	read := func(count int) {
		for m := range bob.Messages(ctx) {
			fmt.Printf("%s\n", m.Body)
			if count--; count == 0 {
				break // this message comes again
			}
		}
	}
	read(2)
	if err := bob.Close(ctx); err != nil {
		log.Fatal(err)
	}
	bob = start()
	defer bob.Close(ctx)
	read(2)
	// Output:
	// one
	// two
	// two
	// three
}

// The tree of a node's actors, as a program sees it. "gamelan tree" prints the same.
func ExampleInspection_Look() {
	ctx := context.Background()
	node := must(gamelan.Start(ctx, gamelan.Config{},
		gamelan.WithActor("account", func(*gamelan.Node) actor.Actor { return new(account) })))
	defer node.Close(ctx)
	for a := range node.Inspection().Look(ctx).All() {
		if a.Kind == "actor" {
			fmt.Println(a.Name, a.State, a.Restarts)
		}
	}
	// Output:
	// account running 0
}

// account is an actor: it has one message in hand at a time, so it needs no lock.
type account struct{ balance int }

type (
	deposit    struct{ amount int }
	getBalance struct{}
)

func (a *account) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case deposit:
		a.balance += m.amount
	case getBalance:
		c.Respond(a.balance)
	}
}

// An actor of your own runs in the node's tree and is reached by its name.
func ExampleAsk() {
	ctx := context.Background()
	node := must(gamelan.Start(ctx, gamelan.Config{},
		gamelan.WithActor("account", func(*gamelan.Node) actor.Actor { return new(account) })))
	defer node.Close(ctx)
	for range 3 {
		if err := node.Tell("account", deposit{5}); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(must(gamelan.Ask[int](ctx, node, "account", getBalance{})))
	_, err := gamelan.Ask[string](ctx, node, "account", getBalance{})
	fmt.Println(err)
	// Output:
	// 15
	// gamelan: ask "account": supervisor: wrong reply type: got int, want string
}
