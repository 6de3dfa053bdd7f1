// First is the smallest program: Alice sends a message to Bob, and he answers.
//
//	go run github.com/gamelan-p2p/gamelan/examples/first
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/gamelan-p2p/gamelan"
)

func main() {
	ctx := context.Background()
	bob := must(gamelan.Start(ctx, gamelan.Config{}, gamelan.WithMessages(func(ctx context.Context, m gamelan.Message) error {
		_, err := m.Reply(ctx, fmt.Appendf(nil, "hello, %s", m.Body))
		return err // an error is logged, a panic restarts the actor that calls this function
	})))
	alice := must(gamelan.Start(ctx, gamelan.Config{}))
	answers := alice.Messages(ctx)
	peer := must(alice.Peers().AddSeed(ctx, bob.Seed())) // Bob's public key and his address
	fmt.Println(must(alice.Send(ctx, peer, []byte("Alice"))))
	for m, err := range answers {
		fmt.Printf("%s\n", must(m, err).Body)
		break
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}
