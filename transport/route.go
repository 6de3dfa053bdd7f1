package transport

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"

	ma "github.com/multiformats/go-multiaddr"
)

// routeLimit is how long the look-up of a name may delay the start.
const routeLimit = 2 * time.Second

// RouteTo returns the address of this machine from which the way to a peer leaves. It sends
// nothing: connecting a UDP socket only chooses a route.
func RouteTo(ctx context.Context, to ma.Multiaddr) (netip.Addr, error) {
	host := to[0].Value()
	if _, ok := IP(to); !ok && to[0].Code() != ma.P_DNS && to[0].Code() != ma.P_DNS4 && to[0].Code() != ma.P_DNS6 {
		return netip.Addr{}, fmt.Errorf("transport: %s has no route", to)
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
