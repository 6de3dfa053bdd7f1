package tor

import (
	"fmt"
	"net/netip"
	"strings"

	ma "github.com/multiformats/go-multiaddr"
)

// SocksAddress returns the address of the first of Tor's SOCKS listeners that can be used
// ([Status.Socks]): one over TCP or, when there is none, a Unix socket. A listener on all
// interfaces is reached over loopback.
func SocksAddress(listeners []string) (ma.Multiaddr, bool) {
	socket := ""
	for _, text := range listeners {
		if path, ok := strings.CutPrefix(text, "unix:"); ok {
			if socket == "" {
				socket = path
			}
			continue
		}
		at, err := netip.ParseAddrPort(text)
		if err != nil || at.Port() == 0 {
			continue
		}
		ip, family := at.Addr().Unmap(), "ip4"
		switch {
		case ip.IsUnspecified() && ip.Is4():
			ip = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		case ip.IsUnspecified():
			ip = netip.IPv6Loopback()
		}
		if ip.Is6() {
			family = "ip6"
		}
		if a, err := ma.NewMultiaddr(fmt.Sprintf("/%s/%s/tcp/%d", family, ip, at.Port())); err == nil {
			return a, true
		}
	}
	if !strings.HasPrefix(socket, "/") {
		return nil, false
	}
	a, err := ma.NewMultiaddr("/unix" + socket)
	return a, err == nil
}
