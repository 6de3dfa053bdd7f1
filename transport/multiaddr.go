package transport

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"

	ma "github.com/multiformats/go-multiaddr"
)

// FromAddrPort returns the multiaddr /ip4/…/tcp/… or /ip6/…/tcp/… of a socket address.
// It writes an IPv4 address in IPv6 form as IPv4 and drops a zone.
func FromAddrPort(ap netip.AddrPort) ma.Multiaddr { return fromAddrPort(ap, "tcp") }

// FromUDPAddrPort returns the multiaddr /ip4/…/udp/… or /ip6/…/udp/… of the address of a
// datagram socket, as [FromAddrPort] does.
func FromUDPAddrPort(ap netip.AddrPort) ma.Multiaddr { return fromAddrPort(ap, "udp") }

func fromAddrPort(ap netip.AddrPort, protocol string) ma.Multiaddr {
	ip := ap.Addr().Unmap().WithZone("")
	proto := ma.P_IP6
	if ip.Is4() {
		proto = ma.P_IP4
	}
	host, err := ma.NewComponent(ma.ProtocolWithCode(proto).Name, ip.String())
	if err != nil { // an invalid netip.Addr: a programming error
		panic(fmt.Sprintf("transport: address %s: %v", ap, err))
	}
	port, err := ma.NewComponent(protocol, strconv.Itoa(int(ap.Port())))
	if err != nil {
		panic(fmt.Sprintf("transport: port of %s: %v", ap, err))
	}
	return ma.Multiaddr{*host, *port}
}

// FromNetAddr returns the multiaddr of a TCP socket's address; ok is false for any other
// kind of address.
func FromNetAddr(a net.Addr) (addr ma.Multiaddr, ok bool) {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return nil, false
	}
	ap := t.AddrPort()
	if !ap.Addr().IsValid() {
		ap = netip.AddrPortFrom(netip.IPv6Unspecified(), ap.Port())
	}
	return FromAddrPort(ap), true
}

// IP returns the IP address at the beginning of a; ok is false for other addresses
// (a name, memory, onion).
func IP(a ma.Multiaddr) (ip netip.Addr, ok bool) {
	if len(a) == 0 {
		return netip.Addr{}, false
	}
	switch a[0].Protocol().Code {
	case ma.P_IP4, ma.P_IP6:
		ip, ok = netip.AddrFromSlice(a[0].RawValue())
		return ip.Unmap(), ok
	}
	return netip.Addr{}, false
}

// TCPPort returns the TCP port of a; ok is false for an address without one.
func TCPPort(a ma.Multiaddr) (port uint16, ok bool) {
	text, err := a.ValueForProtocol(ma.P_TCP)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseUint(text, 10, 16)
	return uint16(n), err == nil
}

// Source returns the source of a connection from a, for limits per source: the IPv4
// address, or the /64 of the IPv6 address. ok is false for loopback and for an address
// without IP, which are exempt from these limits.
//
// spec: V 8
func Source(a ma.Multiaddr) (source netip.Prefix, ok bool) {
	ip, ok := IP(a)
	if !ok || ip.IsLoopback() {
		return netip.Prefix{}, false
	}
	bits := 64
	if ip.Is4() {
		bits = 32
	}
	source, err := ip.Prefix(bits)
	return source, err == nil
}

// Expand returns the addresses on which a listener on a can be reached. For an
// unspecified IP (0.0.0.0, ::) it returns one address for each IP of this machine's
// interfaces that are up, in the system's order and each once: for 0.0.0.0 the IPv4 addresses, for ::
// the IPv6 addresses, since its socket takes no IPv4. It omits link-local IPv6 addresses,
// which need a zone to be dialled. It returns any other address unchanged.
//
// spec: V 3
func Expand(a ma.Multiaddr) ([]ma.Multiaddr, error) {
	ip, ok := IP(a)
	if !ok || !ip.IsUnspecified() {
		return []ma.Multiaddr{a}, nil
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("transport: list interface addresses: %w", err)
	}
	var out []ma.Multiaddr
	for _, na := range addrs {
		ipnet, ok := na.(*net.IPNet)
		if !ok {
			continue
		}
		found, ok := netip.AddrFromSlice(ipnet.IP)
		if !ok {
			continue
		}
		found = found.Unmap()
		if ip.Is4() != found.Is4() || found.Is6() && found.IsLinkLocalUnicast() {
			continue
		}
		name := "ip6"
		if found.Is4() {
			name = "ip4"
		}
		host, err := ma.NewComponent(name, found.String())
		if err != nil {
			continue
		}
		out = append(out, append(ma.Multiaddr{*host}, a[1:]...))
	}
	return out, nil
}
