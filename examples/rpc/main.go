// Rpc has one node offer a service that greets, and another call it: once for
// one greeting, and once for a stream of them that it leaves early.
//
//	go run github.com/gamelan-p2p/gamelan/examples/rpc
package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
)

// Text is the message both ways. Any generated protobuf message will do.
type Text = wrapperspb.StringValue

// The service: its protocol id, and the numbers of its methods. Both sides have
// to agree on these and on the messages, and on nothing else.
const (
	greeter  = protocol.ID("/example/greeter/1")
	greet    = 1
	greetAll = 2
)

// hello greets whom it is told to.
func hello(ctx context.Context, name *Text) (*Text, error) {
	if name.Value == "" {
		return nil, rpc.Errorf(rpc.BadRequest, "whom shall I greet?") // the caller sees this text
	}
	from, _ := rpc.CallerOf(ctx)
	return wrapperspb.String(fmt.Sprintf("Hello, %s! You called as %.8s.", name.Value, from.Peer)), nil
}

// helloAll never runs out of greetings. It ends when the caller has heard enough:
// yield then returns false.
func helloAll(_ context.Context, name *Text) iter.Seq2[*Text, error] {
	return func(yield func(*Text, error) bool) {
		for _, word := range []string{"Hello", "Salut", "Hallo", "Ciao", "Hej", "Apa kabar"} {
			if !yield(wrapperspb.String(word+", "+name.Value), nil) {
				return
			}
		}
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
	server, err := gamelan.Start(ctx, gamelan.Config{}, gamelan.WithService(rpc.Service{
		Protocol: greeter,
		Methods:  []rpc.Method{rpc.Unary(greet, hello), rpc.Stream(greetAll, helloAll)},
	}))
	if err != nil {
		return err
	}
	defer server.Close(context.Background())
	client, err := gamelan.Start(ctx, gamelan.Config{Listen: []string{gamelan.ListenNowhere}})
	if err != nil {
		return err
	}
	defer client.Close(context.Background())
	peer, err := client.Peers().AddSeed(ctx, server.Seed())
	if err != nil {
		return err
	}

	calls := client.RPC().Client(peer, greeter) // connects when the first call is made
	reply, err := rpc.Call[Text, Text](ctx, calls, greet, wrapperspb.String("Anna"))
	if err != nil {
		return err
	}
	fmt.Println(reply.Value)

	_, err = rpc.Call[Text, Text](ctx, calls, greet, wrapperspb.String(""))
	fmt.Printf("A bad request: %v (%t).\n", err, errors.Is(err, rpc.BadRequest))

	for item, err := range rpc.Items[Text, Text](ctx, calls, greetAll, wrapperspb.String("Ben")) {
		if err != nil {
			return err
		}
		fmt.Println(item.Value)
		if item.Value[0] == 'C' {
			break // the server is told
		}
	}
	return nil
}
