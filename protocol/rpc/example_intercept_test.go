package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
)

// Interceptors log calls and bound their time, at the service as here, or at a client as
// options of it. A policy says which peers may call which method.
func ExampleInterceptor() {
	const shop protocol.ID = "/example/shop/1"
	ctx := context.Background()
	logged := func(ctx context.Context, call rpc.Invocation, next func(context.Context) error) error {
		err := next(ctx)
		fmt.Println("served", call.Name, err)
		return err
	}
	client, err := gamelan.Start(ctx, gamelan.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close(ctx)
	nothing := func(context.Context, []byte) ([]byte, error) { return nil, nil }
	server, err := gamelan.Start(ctx, gamelan.Config{}, gamelan.WithService(rpc.Service{
		Protocol:     shop,
		Methods:      []rpc.Method{rpc.UnaryBytes(1, nothing).Named("Look"), rpc.UnaryBytes(2, nothing).Named("Purge")},
		Interceptors: []rpc.Interceptor{logged, rpc.Deadline(5 * time.Second)},
		Allow:        rpc.AllowPeers(client.ID()),
		AllowMethod:  map[uint32]rpc.Policy{2: rpc.AllowPeers()}, // nobody
	}))
	if err != nil {
		log.Fatal(err)
	}
	peer, err := client.Peers().AddSeed(ctx, server.Seed())
	if err != nil {
		log.Fatal(err)
	}
	calls := client.RPC().Client(peer, shop)
	_, looked := rpc.CallBytes(ctx, calls, 1, nil)
	_, purged := rpc.CallBytes(ctx, calls, 2, nil)
	server.Close(ctx) // it waits for its methods
	fmt.Println(looked, errors.Is(purged, rpc.Forbidden))
	// Unordered output:
	// served Look <nil>
	// served Purge rpc: forbidden: method 2 is not allowed for this peer
	// <nil> true
}
