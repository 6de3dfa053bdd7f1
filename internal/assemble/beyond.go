package assemble

import (
	"context"
	"net/netip"
	"slices"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
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
		b.Logger.Warn("no way to a peer now, so the node listens where other machines cannot reach it until its network is up", "peer", a, "err", err)
	case !ip.IsLoopback():
		b.ListenOn = []ma.Multiaddr{transport.FromAddrPort(netip.AddrPortFrom(ip, 0))}
		b.Logger.Info("other machines can connect, because a peer is on one of them; ListenNowhere stops it", "address", ip, "peer", a)
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
	return slices.ContainsFunc(b.Transports, func(t transport.Transport) bool { return t.Name() == "tcp" || t.Name() == "tcp+tor" })
}
