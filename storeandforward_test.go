package gamelan_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// The programs of docs/storeandforward.md, as they stand there.

func docsStoreFor(ctx context.Context, node *gamelan.Node, receiver identity.PublicKey, body []byte) error {
	report, err := node.DHT().Send(ctx, dht.Message{To: dht.StoreFor{To: receiver}, Encrypt: true, Type: 1225, Body: body})
	if err != nil {
		return err // not accepted, for instance because the node is closing
	}
	if report.ToStore { // the receiver was not connected
		fmt.Printf("written to %d neighbours that may store it\n", report.Count(protocol.Confirmed))
	}
	return nil
}

func docsFetchStored(ctx context.Context, node *gamelan.Node) error {
	fetched, err := node.DHT().FetchStored(ctx)
	switch {
	case errors.Is(err, gamelan.ErrNobodyToAsk):
		return err // no connected peer stores messages for others: connect first
	case err != nil:
		return err
	case !fetched.Complete():
		fmt.Println("some peers may have more; fetch again")
	}
	fmt.Println(fetched.Delivered(), "messages came")
	return nil
}

func docsStoreLess(ctx context.Context) (*gamelan.Node, error) {
	node, err := gamelan.Start(ctx, gamelan.Config{DataDir: "server", StoreForward: gamelan.StoreForwardConfig{
		Limits: gamelan.StoreForwardLimits{Messages: 20_000, Bytes: 256 << 20}, // what is 0 has its default
	}})
	return node, err
}

var _ = []any{docsStoreFor, docsFetchStored, docsStoreLess}
