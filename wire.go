package gamelan

import (
	"fmt"

	dhtpart "github.com/gamelan-p2p/gamelan/actors/dht"
	"github.com/gamelan-p2p/gamelan/actors/discovery"
	kadpart "github.com/gamelan-p2p/gamelan/actors/kad"
	"github.com/gamelan-p2p/gamelan/actors/kad/comms"
	"github.com/gamelan-p2p/gamelan/actors/kad/keep"
	morepart "github.com/gamelan-p2p/gamelan/actors/more"
	reachpart "github.com/gamelan-p2p/gamelan/actors/reach"
	rpcpart "github.com/gamelan-p2p/gamelan/actors/rpc"
	safpart "github.com/gamelan-p2p/gamelan/actors/saf"
	torpart "github.com/gamelan-p2p/gamelan/actors/tor"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// addParts adds the parts of the node. The error is one of the store on the disk.
func (b *builder) addParts(n *Node) error {
	if s, ok := b.reachSettings(n); ok {
		n.reach = reachpart.New(b.trunk.Trunk, s)
		n.parts = append(n.parts, n.reach.Part())
	}
	n.parts = append(n.parts, morepart.Part(b.trunk.Trunk))
	if b.DHT != nil {
		s := b.dhtSettings()
		s.NoStore = func(peer identity.NodeID) bool { return n.saf.Silent(peer) }
		n.dht = dhtpart.New(b.trunk.Trunk, s)
		n.parts = append(n.parts, n.dht.Part())
	}
	if b.DHT != nil {
		n.discovery = discovery.New(b.trunk.Trunk, b.discoverySettings(n))
		n.parts = append(n.parts, n.discovery.Part())
	}
	if b.DHT != nil {
		var err error
		if n.saf, err = safpart.New(b.trunk.Trunk, b.storeForwardSettings()); err != nil {
			return fmt.Errorf("gamelan: %w", err)
		}
		n.parts = append(n.parts, n.saf.Part())
	}
	n.kad = kadpart.New(b.trunk.Trunk, b.kadSettings())
	n.parts = append(n.parts, n.kad.Part())
	n.calls = rpcpart.New(b.trunk.Trunk, rpcpart.Settings{
		Sessions: b.RPC.MaxSessions, SessionsPerPeer: b.RPC.MaxPeerSessions,
		Clients: b.RPC.ClientSessions, Idle: b.RPC.Idle, Brief: []protocol.ID{discovery.ServiceID},
	})
	n.parts = append(n.parts, n.calls.Part())
	if b.onion != nil {
		s, err := b.torSettings()
		if err != nil {
			return err
		}
		n.tor = torpart.New(b.trunk.Trunk, s)
		if b.proxyOfTor != nil {
			b.proxyOfTor.OnStuck(n.tor.Stuck)
		}
		n.parts = append(n.parts, n.tor.Part())
	}
	return nil
}

// kadSettings returns what clients of the key-value DHT use unless their settings say
// otherwise.
func (b *builder) kadSettings() kadpart.Settings {
	return kadpart.Settings{
		AllowPrivate: b.profile.TestAddresses,
		Networks: func(c *kadpart.Config) ([]kadpart.Network, error) {
			if c.Overlay != kadpart.Native {
				return nil, kadpart.ErrNoGateway
			}
			n, err := comms.New(b.trunk.Trunk, c.Network)
			if err != nil {
				return nil, err
			}
			return []kadpart.Network{n}, nil
		},
		Keeper: func(c *kadpart.Config) (kadpart.Keeper, error) { return keep.New(b.db, c.Name, c.Overlay), nil },
	}
}
