package comms

import (
	"slices"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/kad/nativewire"
	"github.com/gamelan-p2p/gamelan/kad"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Network is the connections of a node as a network of one client.
type Network struct {
	trunk Trunk
	id    protocol.ID
	name  string
	tor   bool // all of the node's connections lead through Tor
}

var (
	_ kad.Network    = (*Network)(nil)
	_ kad.Lister     = (*Network)(nil)
	_ kad.Ways       = (*Network)(nil)
	_ kad.Violations = (*Network)(nil)
)

// New returns the network with this name; "" is the common one. tor says that all connections of the
// node lead through Tor. New fails with [nativewire.ErrNetwork] for a name that is too long.
func New(t Trunk, network string, tor bool) (*Network, error) {
	id, err := nativewire.ProtocolOf(network)
	if err != nil {
		return nil, err
	}
	return &Network{trunk: t, id: id, name: network, tor: tor}, nil
}

// Label says that these are the node's connections, with the name of the network.
func (n *Network) Label() string {
	if n.name == "" {
		return "connections of the node"
	}
	return "connections of the node, network " + n.name
}

// Limits: nothing is lost without a word, contacts prove who they are, and the first request
// may need a new connection.
func (n *Network) Limits() kad.Limits { return kad.Limits{Claims: true, Dial: true, Tor: n.tor} }

// Way reports whether there is no connection to the contact, and whether Tor carries what is sent
// there: always, or because it is an onion service.
func (n *Network) Way(c kad.Contact) (dial, tor bool) {
	if conn, ok := n.trunk.Connection(c.PublicKey.NodeID()); ok {
		return false, n.tor || conn.Addr != nil && kad.Address(conn.Addr.String()).Onion()
	}
	direct := slices.ContainsFunc(c.Addresses, func(a kad.Address) bool { return !a.Onion() })
	return true, n.tor || len(c.Addresses) > 0 && !direct
}

// Route returns a name for the node with the contact's public key, and "" for a contact
// without one and for this node itself.
func (n *Network) Route(c kad.Contact) kad.Address {
	if c.PublicKey == (identity.PublicKey{}) || c.PublicKey == n.trunk.Secret().PublicKey() {
		return ""
	}
	return routeOf(c.PublicKey)
}

// routeOf is no multiaddr: nobody else sees it.
func routeOf(key identity.PublicKey) kad.Address { return kad.Address("/key/" + key.String()) }

// maxListed is how many peers Listed returns.
const maxListed = 30

// Listed returns peers of the node that listed the protocol when they were last connected,
// those that are connected now first.
func (n *Network) Listed() (list []kad.Contact) {
	var others []kad.Contact
	for p := range n.trunk.Store().All() {
		ref, connected := n.trunk.Connection(p.ID)
		protocols := p.Protocols
		if connected {
			protocols = ref.Listed()
		}
		if !slices.Contains(protocols, n.id) || n.trunk.Banned(p.ID) != nil {
			continue
		}
		c, ok := contactOf(p)
		switch {
		case !ok:
		case connected:
			list = append(list, c)
		case len(others) < maxListed:
			others = append(others, c)
		}
		if len(list) == maxListed {
			return list
		}
	}
	return append(list, others[:min(len(others), maxListed-len(list))]...)
}

// contactOf returns a known peer as a contact, and false if nobody has its claim.
func contactOf(p peerstore.Peer) (kad.Contact, bool) {
	if p.Claim == nil {
		return kad.Contact{}, false
	}
	c, err := overlay.NativeContact(p.Claim)
	return c, err == nil
}

// sender returns the connected peer with this key as a contact, such as one that sent
// something; without addresses if nobody has its claim.
func (n *Network) sender(key identity.PublicKey) kad.Contact {
	if p, ok := n.trunk.Store().ByKey(key); ok {
		if c, ok := contactOf(p); ok {
			return c
		}
	}
	return kad.Contact{ID: overlay.NodeID(key), PublicKey: key}
}

// self returns this node as a contact, and false while it has no address to be reached at.
func (n *Network) self() (kad.Contact, bool) {
	claim, ok := n.trunk.Claim()
	if !ok {
		return kad.Contact{}, false
	}
	c, err := overlay.NativeContact(&claim)
	return c, err == nil
}

// Violated reports an offence of a peer to connectivity, which alone decides what follows.
// source is that of the packet.
func (n *Network) Violated(peer kad.Contact, source supervisor.Source, err error) {
	key := peer.PublicKey
	m := base.PeerViolated{Peer: key.NodeID(), Key: key, Err: protocol.Violated("key-value DHT", protocol.BanShort, err)}
	if o, ok := source.(actors.Origin); ok {
		m.Conn = o.Conn
	}
	n.trunk.System().Root.Send(n.trunk.Connectivity(), m)
}

// Open offers the protocol if the client serves others.
func (n *Network) Open(c actor.Context, p *kad.Port) kad.Link { return open(c, n, p) }
