package gamelan

import (
	"context"
	"net/netip"
	"slices"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/protocol/address"
	"github.com/gamelan-p2p/gamelan/transport"
)

// listenBeyond has a node without [Config.Listen] that is given a peer on another machine listen
// on the address from which the way to that peer leaves. On loopback, where it would listen
// otherwise, nobody there could reach it.
func (b *builder) listenBeyond(ctx context.Context) {
	if !b.anyPort || !slices.ContainsFunc(b.transports, func(t transport.Transport) bool { return t.Name() == "tcp" }) {
		return
	}
	for _, seed := range b.seeds {
		for _, a := range seed.Addresses {
			if !address.Beyond(a.Addr) {
				continue
			}
			ip, err := transport.RouteTo(ctx, a.Addr)
			switch {
			case err != nil:
				b.logger.Warn("no way to a peer now, so the node listens where other machines cannot reach it; start it again with the network up, or set where to listen",
					"peer", a.Addr, "err", err)
			case !ip.IsLoopback():
				b.listen = []ma.Multiaddr{transport.FromAddrPort(netip.AddrPortFrom(ip, 0))}
				b.logger.Info("other machines can connect, because a peer is on one of them; --listen nowhere stops it", "address", ip, "peer", a.Addr)
			}
			return
		}
	}
}
