package transport

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"

	ma "github.com/multiformats/go-multiaddr"
)

// FromAddrPort gives the /ip4/…/tcp/… or /ip6/…/tcp/… form of a socket
// address. An IPv4 address in IPv6 form is written as IPv4 and a zone is
// dropped.
func FromAddrPort(ap netip.AddrPort) ma.Multiaddr {
	ip := ap.Addr().Unmap().WithZone("")
	proto := ma.P_IP6
	if ip.Is4() {
		proto = ma.P_IP4
	}
	host, err := ma.NewComponent(ma.ProtocolWithCode(proto).Name, ip.String())
	if err != nil { // an invalid netip.Addr: a programming error
		panic(fmt.Sprintf("transport: address %s: %v", ap, err))
	}
	port, err := ma.NewComponent("tcp", strconv.Itoa(int(ap.Port())))
	if err != nil {
		panic(fmt.Sprintf("transport: port of %s: %v", ap, err))
	}
	return ma.Multiaddr{*host, *port}
}

// FromNetAddr gives the multiaddr of a TCP socket's address; ok is false for
// any other kind.
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

// IP returns the IP address that a begins with; ok is false when it begins
// with something else (a name, memory, onion).
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

// Source is what inbound limits count by: the IPv4 address, or the /64 of the
// IPv6 address, that a connection comes from. ok is false for loopback and for
// what is not an IP address, which are exempt from limits per source.
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

// Expand returns what a listening address stands for: an unspecified IP
// (0.0.0.0, ::) becomes one address for each IP of this machine's interfaces
// that are up, in the order the system lists them; any other address is
// returned as it is. 0.0.0.0 gives IPv4 addresses only; :: gives both kinds.
// Link-local IPv6 addresses, which need a zone to be dialled, are left out.
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
		if ip.Is4() && !found.Is4() || found.Is6() && found.IsLinkLocalUnicast() {
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
