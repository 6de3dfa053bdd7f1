package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
)

// A service is a protocol id and numbered methods, whose requests and responses are
// protobuf messages. The text of an error reaches the caller.
func Example() {
	ctx := context.Background()
	server, err := gamelan.Start(ctx, gamelan.Config{}, gamelan.WithService(rpc.Service{
		Protocol: "/example/length/1",
		Methods: []rpc.Method{rpc.Unary(1, func(_ context.Context, in *wrapperspb.StringValue) (*wrapperspb.Int64Value, error) {
			if in.Value == "" {
				return nil, rpc.Errorf(rpc.BadRequest, "the text is empty")
			}
			return wrapperspb.Int64(int64(len(in.Value))), nil
		})},
	}))
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close(ctx)
	client, err := gamelan.Start(ctx, gamelan.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close(ctx)
	peer, err := client.Peers().AddSeed(ctx, server.Seed())
	if err != nil {
		log.Fatal(err)
	}
	length := func(text string) (*wrapperspb.Int64Value, error) {
		return rpc.Call[wrapperspb.StringValue, wrapperspb.Int64Value](ctx, client.RPC().Client(peer, "/example/length/1"), 1, wrapperspb.String(text))
	}
	n, err := length("gamelan")
	fmt.Println(n.GetValue(), err)
	_, err = length("")
	fmt.Println(err, errors.Is(err, rpc.BadRequest))
	// Output:
	// 7 <nil>
	// rpc: bad request: the text is empty true
}
