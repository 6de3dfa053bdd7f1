package gamelan_test

import (
	"context"

	"github.com/gamelan-p2p/gamelan"
)

// The Go block of docs/private-network.md, as it stands there.

func docsPrivate(ctx context.Context, use func(*gamelan.Node)) (err error) {
	network, err := gamelan.ReadNetwork("acme.network")
	if err != nil {
		return err
	}
	node, err := gamelan.Start(ctx, gamelan.Config{DataDir: "data", Private: &network})
	use(node)
	return err
}

var _ = docsPrivate
