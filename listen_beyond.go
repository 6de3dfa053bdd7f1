package gamelan

import (
	"context"
	"net/netip"
	"slices"

	ma "github.com/multiformats/go-multiaddr"

	reachpart "github.com/gamelan-p2p/gamelan/actors/reach"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol/address"
	"github.com/gamelan-p2p/gamelan/transport"
)

// listenBeyond has a node without Config.Listen that is given a peer on another machine listen
// on the address from which the way to that peer leaves. On loopback, where it would listen
// otherwise, nobody there could reach it.
func (b *builder) listenBeyond(ctx context.Context) {
	if !b.AnyPort || !b.dialsTCP() {
		return
	}
	a := b.seedElsewhere()
	if a == nil {
		return
	}
	ip, err := transport.RouteTo(ctx, a)
	switch {
	case err != nil:
		b.logger.Warn("no way to a peer now, so the node listens where other machines cannot reach it until its network is up", "peer", a, "err", err)
	case !ip.IsLoopback():
		b.ListenOn = []ma.Multiaddr{transport.FromAddrPort(netip.AddrPortFrom(ip, 0))}
		b.logger.Info("other machines can connect, because a peer is on one of them; ListenNowhere stops it", "address", ip, "peer", a)
	}
}

// seedElsewhere returns an address of a seed on another machine, or nil.
func (b *builder) seedElsewhere() ma.Multiaddr {
	for _, seed := range b.SeedPeers {
		for _, a := range seed.Addresses {
			if address.Beyond(a.Addr) {
				return a.Addr
			}
		}
	}
	return nil
}

// reachSettings returns the settings of the part reach; ok is false for a node that does not follow
// the machine's addresses.
func (b *builder) reachSettings(n *Node) (s reachpart.Settings, ok bool) {
	s.Private = b.Wire.TestAddresses
	s.Claimed, s.Listening, s.Given = n.Addresses, n.Listening, n.givenAddresses
	s.LoopbackOnly = b.Transport == TransportTCP && len(b.Advertised) == 0 && b.onlyLoopback() && !b.AnyPort && b.seedElsewhere() != nil
	if b.Transport != TransportTCP && b.Transport != TransportTCPWithTor || !b.dialsTCP() {
		return s, false
	}
	s.Interfaces = transport.Interfaces
	s.Judge = !b.Reach.Off && !n.onlyDials() && (!b.onlyLoopback() || b.AnyPort && b.seedElsewhere() != nil)
	s.Most = b.Wire.Limits.Addresses
	if b.onion != nil {
		s.Most-- // for its address
	}
	s.DialBack = !b.Reach.NoDialBack
	s.Ports = b.ports
	s.Trusted = func(peer identity.NodeID) bool {
		return slices.ContainsFunc(b.SeedPeers, func(p peerstore.Peer) bool { return p.ID == peer })
	}
	if len(b.Advertised) == 0 {
		s.Own = func() []ma.Multiaddr {
			if n.given.Load() {
				return nil
			}
			own, _ := b.present(n.policy())
			return own
		}
	}
	if away := b.seedElsewhere(); b.AnyPort && away != nil {
		s.Home = func(ctx context.Context) (netip.Addr, error) { return transport.RouteTo(ctx, away) }
	}
	return s, true
}

// ports returns the TCP ports at which the node may be reached: those that it listens on, and those
// that the user has it tell others.
func (b *builder) ports() (list []uint16) {
	addrs := slices.Clone(b.Advertised)
	for _, l := range b.bound {
		if address.Beyond(l.Where()) {
			addrs = append(addrs, l.Where())
		}
	}
	for _, a := range addrs {
		if port, ok := transport.TCPPort(a); ok && !slices.Contains(list, port) {
			list = append(list, port)
		}
	}
	return list
}

func (b *builder) dialsTCP() bool {
	return slices.ContainsFunc(b.transports, func(t transport.Transport) bool { return t.Name() == "tcp" || t.Name() == "tcp+tor" })
}
