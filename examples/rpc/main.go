// Rpc runs a node with a service that greets, and a node that calls it: for one greeting, for a
// stream, which it leaves early, and in a conversation. It makes calls again that were not run.
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

type Text = wrapperspb.StringValue // any generated protobuf message will do

// Client and server must agree on these numbers and on the message types, and on nothing else.
const (
	greeter  = protocol.ID("/example/greeter/1")
	greet    = 1
	greetAll = 2
	meet     = 3
)

// hello returns a greeting for a name.
func hello(ctx context.Context, name *Text) (*Text, error) {
	if name.Value == "" {
		return nil, rpc.Errorf(rpc.BadRequest, "whom shall I greet?") // the caller sees this text
	}
	from, _ := rpc.CallerOf(ctx)
	return wrapperspb.String(fmt.Sprintf("Hello, %s! You called as %.8s.", name.Value, from.Peer)), nil
}

// helloAll returns a stream of greetings for a name. Yield returns false when the caller leaves it early.
func helloAll(_ context.Context, name *Text) iter.Seq2[*Text, error] {
	return func(yield func(*Text, error) bool) {
		for _, word := range []string{"Hello", "Salut", "Hallo", "Ciao", "Hej", "Apa kabar"} {
			if !yield(wrapperspb.String(word+", "+name.Value), nil) {
				return
			}
		}
	}
}

// meeting greets each of a stream of names as it comes.
func meeting(ctx context.Context, names iter.Seq2[*Text, error]) iter.Seq2[*Text, error] {
	return func(yield func(*Text, error) bool) {
		for name, err := range names {
			if err != nil || !yield(hello(ctx, name)) {
				return
			}
		}
	}
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	server, err := gamelan.Start(ctx, gamelan.Config{}, gamelan.WithService(rpc.Service{
		Protocol: greeter,
		Methods:  []rpc.Method{rpc.Unary(greet, hello), rpc.Stream(greetAll, helloAll), rpc.BidiStream(meet, meeting)},
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

	calls := client.RPC().Client(peer, greeter, rpc.Retry(rpc.RetryPolicy{})) // the first call connects
	reply, err := rpc.Call[Text, Text](ctx, calls, greet, wrapperspb.String("Anna"))
	if err != nil {
		return err
	}
	fmt.Println(reply.Value)
	_, err = rpc.Call[Text, Text](ctx, calls, greet, &Text{})
	fmt.Printf("A bad request: %v (%t).\n", err, errors.Is(err, rpc.BadRequest))

	for item, err := range rpc.Items[Text, Text](ctx, calls, greetAll, wrapperspb.String("Ben")) {
		if err != nil {
			return err
		}
		if fmt.Println(item.Value); item.Value[0] == 'C' {
			break // leaving the loop tells the server to stop
		}
	}

	return rpc.Exchange(ctx, calls, meet, func(d *rpc.Duplex[Text, Text]) error {
		for _, name := range []string{"Cleo", "Dan"} {
			err := d.Send(wrapperspb.String(name))
			reply, lost := d.Receive()
			if err := errors.Join(err, lost); err != nil {
				return err
			}
			fmt.Println(reply.Value)
		}
		return nil
	})
}
