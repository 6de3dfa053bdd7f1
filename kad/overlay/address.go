package overlay

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
)

// Limits of the addresses of a contact (spec: kad B4.2).
const (
	MaxAddresses  = 5   // of a contact
	MaxAddressLen = 128 // bytes of its text, and of its binary form
)

// ErrAddress reports text or bytes that are no address which a node of the DHT can have.
// The error says what is wrong, without the text, because a peer chose it.
var ErrAddress = errors.New("kad: no usable address")

// Address is where a node can be reached, as the text of a multiaddr, for instance
// /ip4/192.0.2.7/udp/12345. Get one from [ParseAddress], [AddressFromBytes] or
// [UDPAddress], which write it in one way only, so that equal addresses are equal
// strings. The zero value means "no address".
type Address string

// ParseAddress returns the address that s describes:
//
//   - /ip4 or /ip6, then /udp or /tcp, with a port other than 0, where the IP address is
//     neither unspecified nor multicast nor broadcast;
//   - a DNS name or an onion address, each with a port, or /memory with a port, as a
//     node's claim may hold them (spec: comms 2.6).
//
// It reads numbers as nodes of the overlay Seed do: leading zeros and a plus sign before
// a port, and a slash at the end (spec: kad A6.2). It fails with [ErrAddress].
func ParseAddress(s string) (Address, error) {
	if len(s) > MaxAddressLen {
		return "", fmt.Errorf("%w: %d bytes, at most %d", ErrAddress, len(s), MaxAddressLen)
	}
	if a, isIP, err := parseIP(s); isIP {
		return a, err
	}
	m, err := address.Parse(s)
	if err != nil {
		return "", fmt.Errorf("%w: it is no multiaddr, such as /ip4/192.0.2.7/udp/12345", ErrAddress)
	}
	if err := address.Check(m); err != nil {
		return "", fmt.Errorf("%w: %w", ErrAddress, err)
	}
	return bounded(m.String())
}

// AddressFromBytes returns the address of the binary form b, as claims carry it. It
// fails with [ErrAddress].
func AddressFromBytes(b []byte) (Address, error) {
	if len(b) > MaxAddressLen {
		return "", fmt.Errorf("%w: %d bytes, at most %d", ErrAddress, len(b), MaxAddressLen)
	}
	m, err := address.FromBytes(b)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrAddress, err)
	}
	return ParseAddress(m.String())
}

// UDPAddress returns the address of a UDP socket, and "" for one that no datagram can be
// sent to. An IPv4 address inside an IPv6 address counts as the former; a zone is lost.
func UDPAddress(a netip.AddrPort) Address {
	ip := a.Addr().WithZone("").Unmap()
	if checkIP(ip) != nil || a.Port() == 0 {
		return ""
	}
	return ipAddress(ip, "udp", a.Port())
}

// Bytes returns the binary form of the address. It fails with [ErrAddress] for text that
// is none.
func (a Address) Bytes() ([]byte, error) {
	m, err := address.Parse(string(a))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAddress, err)
	}
	return m.Bytes(), nil
}

// Protocols returns the protocols of the address in order, without what belongs to
// them: "ip4/udp" of /ip4/192.0.2.7/udp/12345. A gateway of the overlay Seed reaches
// exactly the addresses that have the protocols of its own (spec: kad A4).
func (a Address) Protocols() string {
	if _, transport, _, ok := splitIP(string(a)); ok {
		return ipProtocols[string(a[:4])+transport]
	}
	parts := strings.Split(strings.TrimPrefix(string(a), "/"), "/")
	var names []string
	for i := 0; i < len(parts); i += 2 { // all protocols of an address here have a value
		names = append(names, parts[i])
	}
	return strings.Join(names, "/")
}

// ipProtocols spares most addresses an allocation.
var ipProtocols = map[string]string{
	"/ip4udp": "ip4/udp", "/ip6udp": "ip6/udp", "/ip4tcp": "ip4/tcp", "/ip6tcp": "ip6/tcp",
}

// AddrPort returns IP address and port of an address that has them, with its transport,
// which is "udp" or "tcp".
func (a Address) AddrPort() (at netip.AddrPort, transport string, ok bool) {
	ip, transport, port, ok := splitIP(string(a))
	if !ok {
		return netip.AddrPort{}, "", false
	}
	at = netip.AddrPortFrom(parsed(ip), parsedPort(port))
	return at, transport, at.IsValid()
}

// Public reports whether strangers may send a node there: an IP address of the internet,
// an onion address, or a DNS name that is not local. It says nothing of what the name
// resolves to.
func (a Address) Public() bool {
	at, _, ok := a.AddrPort()
	switch {
	case ok:
		return address.Public(at.Addr()) == nil
	case strings.HasPrefix(string(a), "/memory/"):
		return false
	}
	m, err := address.Parse(string(a))
	return err == nil && address.External(m)
}

// Group names the network that a public address belongs to: the /24 of an IPv4 address,
// the /48 of an IPv6 address, the onion service, the last two labels of a DNS name. It
// returns "" for other addresses, which the limits for groups do not count (spec: kad B4.5).
func (a Address) Group() string {
	at, _, ok := a.AddrPort()
	switch {
	case ok && address.Public(at.Addr()) == nil:
		return IPGroup(at.Addr())
	case ok, strings.HasPrefix(string(a), "/memory/"):
		return ""
	}
	m, err := address.Parse(string(a))
	if err != nil {
		return ""
	}
	return address.Group(m) // "" unless it is external
}

// Onion reports whether the address is one of an onion service.
func (a Address) Onion() bool { return strings.HasPrefix(string(a), "/onion3/") }

// IPGroup returns the /24 of an IPv4 address and the /48 of an IPv6 address, whether it is
// public or not.
func IPGroup(ip netip.Addr) string {
	ip = ip.WithZone("").Unmap()
	n := 48
	if ip.Is4() {
		n = 24
	}
	p, err := ip.Prefix(n)
	if err != nil {
		return ""
	}
	return p.String()
}

// splitIP splits the text of an address of IP address, transport and port.
func splitIP(s string) (ip, transport, port string, ok bool) {
	var version, rest string
	if s, ok = strings.CutPrefix(s, "/ip"); !ok {
		return "", "", "", false
	}
	version, rest, _ = strings.Cut(s, "/")
	ip, rest, _ = strings.Cut(rest, "/")
	transport, rest, _ = strings.Cut(rest, "/")
	port = strings.TrimSuffix(rest, "/")
	isIPv6 := strings.Contains(ip, ":")
	ok = (version == "4" && !isIPv6 || version == "6" && isIPv6) &&
		(transport == "udp" || transport == "tcp") && !strings.Contains(port, "/")
	return ip, transport, port, ok
}

func parseIP(s string) (a Address, isIP bool, err error) {
	host, transport, port, ok := splitIP(s)
	if !ok {
		return "", false, nil
	}
	ip, n := parsed(host), parsedPort(port)
	if err := checkIP(ip); err != nil {
		return "", true, err
	}
	if n == 0 {
		return "", true, fmt.Errorf("%w: no port from 1 to 65535", ErrAddress)
	}
	return ipAddress(ip, transport, n), true, nil
}

func ipAddress(ip netip.Addr, transport string, port uint16) Address {
	version := "/ip6/"
	if ip.Is4() {
		version = "/ip4/"
	}
	b := make([]byte, 0, 64)
	b = ip.AppendTo(append(b, version...))
	b = append(append(append(b, '/'), transport...), '/')
	return Address(strconv.AppendUint(b, uint64(port), 10))
}

// parsed returns the IP address that s is, and the zero value for other text and for an
// address with a zone, which no other machine knows.
func parsed(s string) netip.Addr {
	ip, err := netip.ParseAddr(s)
	if err != nil || ip.Zone() != "" {
		return netip.Addr{}
	}
	return ip
}

// parsedPort returns the port that s is, and 0 for other text.
func parsedPort(s string) uint16 {
	n, err := strconv.ParseUint(strings.TrimPrefix(s, "+"), 10, 16)
	if err != nil {
		return 0
	}
	return uint16(n)
}

func checkIP(ip netip.Addr) error {
	switch {
	case !ip.IsValid():
		return fmt.Errorf("%w: no IP address", ErrAddress)
	case ip.IsUnspecified():
		return fmt.Errorf("%w: an unspecified IP address", ErrAddress)
	case ip.IsMulticast(), ip == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return fmt.Errorf("%w: a multicast IP address", ErrAddress)
	case ip.Is4In6():
		return fmt.Errorf("%w: an IPv4 address inside an IPv6 address", ErrAddress)
	}
	return nil
}

func bounded(s string) (Address, error) {
	if len(s) > MaxAddressLen {
		return "", fmt.Errorf("%w: %d bytes, at most %d", ErrAddress, len(s), MaxAddressLen)
	}
	return Address(s), nil
}
