package tor

import (
	"fmt"
	"net/netip"
	"strings"

	ma "github.com/multiformats/go-multiaddr"
)

// SocksAddress returns the address of the first of Tor's SOCKS listeners that can be used
// ([Status.Socks]): one over TCP or, when there is none, a Unix socket. The host is that of the
// control port, or not valid if that is on this machine.
//
// Of a Tor on this machine only loopback and Unix sockets count, so that what is dialled does
// not leave the machine in clear. Of one elsewhere these do not count: they would lead to a
// program on this machine. A listener on all interfaces is reached at loopback or at the host.
//
// spec: V 35
func SocksAddress(listeners []string, host netip.Addr) (ma.Multiaddr, bool) {
	socket := ""
	for _, text := range listeners {
		if path, ok := strings.CutPrefix(text, "unix:"); ok {
			if socket == "" && !host.IsValid() {
				socket = path
			}
			continue
		}
		at, err := netip.ParseAddrPort(text)
		if err != nil || at.Port() == 0 {
			continue
		}
		ip := at.Addr().Unmap()
		switch {
		case ip.IsUnspecified() && host.IsValid():
			ip = host
		case ip.IsUnspecified() && ip.Is4():
			ip = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		case ip.IsUnspecified():
			ip = netip.IPv6Loopback()
		}
		if ip.IsLoopback() == host.IsValid() {
			continue
		}
		family := "ip4"
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
