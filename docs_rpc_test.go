package gamelan_test

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/gamelan-p2p/gamelan"
	greeterpb "github.com/gamelan-p2p/gamelan/cmd/protoc-gen-gamelan/testdata/greeter"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
)

// The Go blocks of docs/rpc.md and tools/inversions/draw.md, as they stand there.

type (
	Order struct {
		Item   string
		Number int
	}
	Receipt struct{ Total int }
)

func docsServe(ctx context.Context) (*gamelan.Node, error) {
	server, err := gamelan.Start(ctx, gamelan.Config{}, gamelan.WithService(rpc.Service{
		Protocol: "/example/shop/1",
		Encoding: rpc.JSON,
		Methods: []rpc.Method{rpc.Unary(1, func(ctx context.Context, o *Order) (*Receipt, error) {
			return &Receipt{Total: o.Number * 3}, nil
		})},
	}))
	return server, err
}

func docsCall(ctx context.Context, node *gamelan.Node, peer identity.NodeID) (*Receipt, error) {
	shop := node.RPC().Client(peer, "/example/shop/1", rpc.JSON) // the first call connects
	receipt, err := rpc.Call[Order, Receipt](ctx, shop, 1, &Order{Item: "gong", Number: 4})
	return receipt, err
}

func docsExchange(ctx context.Context, shop *rpc.Client, orders, accounts rpc.Service) (rpc.Service, error) {
	sum := rpc.ClientStream(2, func(_ context.Context, orders iter.Seq2[*Order, error]) (*Receipt, error) {
		total := 0
		for o, err := range orders {
			if err != nil {
				return nil, err
			}
			total += o.Number * 3
		}
		return &Receipt{Total: total}, nil
	})
	orders.Methods = append(orders.Methods, sum)
	err := rpc.Exchange(ctx, shop, 3, func(d *rpc.Duplex[Order, Receipt]) error {
		if err := d.Send(&Order{Item: "gong", Number: 4}); err != nil {
			return err
		}
		receipt, err := d.Receive()
		if err == nil {
			fmt.Println(receipt.Total)
		}
		return err
	})
	all := rpc.Join("/example/office/1", orders, accounts)
	return all, err
}

func docsWatch() rpc.Interceptor {
	checked := rpc.Interceptor(func(ctx context.Context, call rpc.Invocation, next func(context.Context) error) error {
		call.Watch(rpc.Watcher{Request: func(message any) error {
			if o, ok := message.(*Order); ok && o.Number > 1000 {
				return rpc.Errorf(rpc.BadRequest, "at most 1,000 of a kind")
			}
			return nil
		}})
		return next(ctx)
	})
	return checked
}

func docsRetry(node *gamelan.Node, peer identity.NodeID) *rpc.Client {
	shop := node.RPC().Client(peer, "/example/shop/1", rpc.JSON, rpc.Retry(rpc.RetryPolicy{}))
	return shop
}

func docsServeGreeter(ctx context.Context, myGreeter greeterpb.GreeterServer) (*gamelan.Node, error) {
	server, err := gamelan.Start(ctx, gamelan.Config{}, gamelan.WithService(greeterpb.NewGreeterService(myGreeter)))
	return server, err
}

func docsGreet(ctx context.Context, node *gamelan.Node, peer identity.NodeID) (*greeterpb.Greeting, error) {
	greeter := greeterpb.NewGreeterClient(node.RPC().Client(peer, greeterpb.GreeterProtocol))
	greeting, err := greeter.Greet(ctx, &greeterpb.Name{Name: "Ann"})
	return greeting, err
}

func docsIntercept(node *gamelan.Node, peer identity.NodeID, methods []rpc.Method) []any {
	logged := rpc.Interceptor(func(ctx context.Context, call rpc.Invocation, next func(context.Context) error) error {
		began := time.Now()
		err := next(ctx)
		slog.Info("call", "peer", call.Peer, "service", call.Protocol, "method", call.Method, "took", time.Since(began), "err", err)
		return err
	})

	service := rpc.Service{Protocol: "/example/shop/1", Interceptors: []rpc.Interceptor{logged, rpc.Deadline(5 * time.Second)}, Methods: methods}
	shop := node.RPC().Client(peer, "/example/shop/1", logged, rpc.Deadline(2*time.Second))
	return []any{service, shop}
}

func docsPolicies(methods []rpc.Method, friend, admin identity.NodeID) rpc.Service {
	const ping, purge = 1, 2
	service := rpc.Service{
		Protocol:    "/example/shop/1",
		Methods:     methods,
		Allow:       rpc.AllowPeers(friend, admin),
		AllowMethod: map[uint32]rpc.Policy{ping: rpc.AllowAll, purge: rpc.AllowPeers(admin)},
	}
	return service
}

func docsDraw(claimed []string) []int {
	r := rand.New(rand.NewPCG(8, 2026)) // math/rand/v2
	drawn := r.Perm(len(claimed))[:30]  // indexes into: comms 1-16, 20-136, 143-152, V 1-20, 30-31
	return drawn
}

var _ = []any{docsServe, docsCall, docsServeGreeter, docsGreet, docsRetry, docsExchange, docsWatch, docsIntercept, docsPolicies, docsDraw}
