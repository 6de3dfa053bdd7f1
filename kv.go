package gamelan

import (
	"context"

	"github.com/gamelan-p2p/gamelan/kad"
)

// KV is a node's handle for the key-value DHT: a Kademlia network that stores small values
// at the nodes nearest to their keys. It has nothing in common with the DHT that passes
// messages on ([Node.DHT]). Package [github.com/gamelan-p2p/gamelan/kad] has its
// types.
type KV struct{ n *Node }

// KV returns the node's handle for the key-value DHT.
func (n *Node) KV() *KV { return &KV{n} }

// Open starts a client. A node may have any number of them, each with a name. It fails with
// an error that matches [kad.ErrConfig], [kad.ErrNameTaken], [kad.ErrNoGateway] or
// [ErrClosed]. The client ends with its Close, or with the node.
func (k *KV) Open(ctx context.Context, c KVConfig) (*KVClient, error) {
	if k.n.e.Stopping() {
		return nil, ErrClosed
	}
	return kad.Start(ctx, k.n.e.Kad, c)
}

// Client returns the running client of a name, or false.
func (k *KV) Client(name string) (*KVClient, bool) { return k.n.e.Kad.Client(name) }

// Clients returns the running clients in the order of their start.
func (k *KV) Clients() []*KVClient { return k.n.e.Kad.Clients() }
