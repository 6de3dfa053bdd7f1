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

// addParts adds the parts of the node. The error is one of the settings, or of the store on the disk.
func (b *builder) addParts(n *Node) error {
	t := b.trunk.Trunk
	if s, ok := b.reachSettings(n); ok {
		n.reach = reachpart.New(t, s)
		n.parts = append(n.parts, n.reach.Part())
	} else {
		n.parts = append(n.parts, reachpart.Off(t, s))
	}
	if err := b.openInbox(n); err != nil {
		return err
	}
	n.parts = append(n.parts, morepart.Part(t))
	if err := b.addDHT(n); err != nil {
		return err
	}
	n.kad = kadpart.New(t, b.kadSettings(n))
	n.parts = append(n.parts, n.kad.Part())
	n.calls = rpcpart.New(t, rpcpart.Settings{
		Sessions: b.RPC.MaxSessions, SessionsPerPeer: b.RPC.MaxPeerSessions,
		Clients: b.RPC.ClientSessions, Idle: b.RPC.Idle, Brief: []protocol.ID{discovery.ServiceID},
	})
	n.parts = append(n.parts, n.calls.Part())
	if b.onion == nil {
		n.parts = append(n.parts, torpart.Off(t))
		return nil
	}
	s, err := b.torSettings()
	if err != nil {
		return err
	}
	n.tor = torpart.New(t, s)
	if b.proxyOfTor != nil {
		b.proxyOfTor.OnStuck(n.tor.Stuck)
	}
	n.parts = append(n.parts, n.tor.Part())
	return nil
}

// addDHT adds the parts of the DHT.
func (b *builder) addDHT(n *Node) (err error) {
	t := b.trunk.Trunk
	if b.DHT == nil {
		n.parts = append(n.parts, dhtpart.Off(), discovery.Off(t), safpart.Off())
		return nil
	}
	s := b.dhtSettings()
	s.NoStore = func(peer identity.NodeID) bool { return n.saf.Silent(peer) }
	s.NoRoom = func() uint64 { return n.inbox.Status().Dropped }
	n.dht = dhtpart.New(t, s)
	n.discovery = discovery.New(t, b.discoverySettings(n))
	if n.saf, err = safpart.New(t, b.storeForwardSettings(n)); err != nil {
		return fmt.Errorf("gamelan: %w", err)
	}
	n.parts = append(n.parts, n.dht.Part(), n.discovery.Part(), n.saf.Part())
	return nil
}

// kadSettings returns what clients of the key-value DHT use unless their settings say
// otherwise.
func (b *builder) kadSettings(n *Node) kadpart.Settings {
	return kadpart.Settings{
		AllowPrivate: b.Wire.TestAddresses, Host: n.host(),
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
