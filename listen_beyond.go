package gamelan

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"

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
			ip, err := routeTo(ctx, a.Addr)
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

// routeLimit is how long the look-up of a name may delay the start.
const routeLimit = 2 * time.Second

// routeTo returns the address of this machine from which the way to a peer leaves. It sends
// nothing: connecting a UDP socket only chooses a route.
func routeTo(ctx context.Context, to ma.Multiaddr) (netip.Addr, error) {
	host := to[0].Value()
	if _, ok := transport.IP(to); !ok && to[0].Code() != ma.P_DNS && to[0].Code() != ma.P_DNS4 && to[0].Code() != ma.P_DNS6 {
		return netip.Addr{}, fmt.Errorf("gamelan: %s has no route", to)
	}
	ctx, cancel := context.WithTimeout(ctx, routeLimit)
	defer cancel()
	const anyPort = 9 // no packet goes there
	var d net.Dialer
	c, err := d.DialContext(ctx, "udp", net.JoinHostPort(host, strconv.Itoa(anyPort)))
	if err != nil {
		return netip.Addr{}, err
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap().WithZone(""), nil
}
