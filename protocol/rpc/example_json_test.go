package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
)

// Order and Receipt are plain Go types.
type Order struct {
	Item   string `json:"item"`
	Number int    `json:"number"`
}

type Receipt struct {
	Total int `json:"total"`
}

// A service on plain Go types encodes them as JSON. A message of another type is an error
// that names both types.
func ExampleJSON() {
	const shop protocol.ID = "/example/shop/1"
	ctx := context.Background()
	server, err := gamelan.Start(ctx, gamelan.Config{}, gamelan.WithService(rpc.Service{
		Protocol: shop,
		Encoding: rpc.JSON,
		Methods: []rpc.Method{rpc.Unary(1, func(_ context.Context, o *Order) (*Receipt, error) {
			return &Receipt{Total: o.Number * 3}, nil
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
	calls := client.RPC().Client(peer, shop, rpc.JSON)
	receipt, err := rpc.Call[Order, Receipt](ctx, calls, 1, &Order{Item: "gong", Number: 4})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(receipt.Total)
	_, err = rpc.Call[Receipt, Receipt](ctx, calls, 1, &Receipt{Total: 4})
	fmt.Println(err)
	fmt.Println(errors.Is(err, rpc.ErrType))
	// Output:
	// 12
	// rpc: bad request: the request is not a rpc_test.Order: it has no field "total"; method 1 was sent a rpc_test.Receipt
	// true
}
