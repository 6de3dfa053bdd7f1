package gamelan

import (
	dhtpart "github.com/gamelan-p2p/gamelan/actors/dht"
	"github.com/gamelan-p2p/gamelan/actors/discovery"
	rpcpart "github.com/gamelan-p2p/gamelan/actors/rpc"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// addParts adds the parts of the node.
func (b *builder) addParts(n *Node) {
	if b.DHT != nil {
		n.dht = dhtpart.New(b.trunk.Trunk, b.dhtSettings())
		n.parts = append(n.parts, n.dht.Part())
	}
	if b.DHT != nil {
		n.discovery = discovery.New(b.trunk.Trunk, b.discoverySettings(n))
		n.parts = append(n.parts, n.discovery.Part())
	}
	n.calls = rpcpart.New(b.trunk.Trunk, rpcpart.Settings{
		Sessions: b.RPC.MaxSessions, SessionsPerPeer: b.RPC.MaxPeerSessions,
		Clients: b.RPC.ClientSessions, Idle: b.RPC.Idle, Brief: []protocol.ID{discovery.ServiceID},
	})
	n.parts = append(n.parts, n.calls.Part())
}
