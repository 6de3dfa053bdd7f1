package seednode

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// known are the protocols that the program can read in an address; the first ones have a
// value.
var (
	withValue = []string{"ip4", "ip6", "tcp", "udp", "dccp", "sctp", "ipfs", "onion"}
	alone     = []string{"udt", "utp", "http", "https", "ws", "wss", "libp2p-webrtc-star", "libp2p-webrtc-direct"}
)

// canonical returns an address as the program writes it, and its protocols. It fails for one
// that the program cannot read.
func canonical(text string) (address string, protocols []string, ok bool) {
	text = strings.TrimSuffix(text, "/")
	if text == "" {
		return "", nil, true
	}
	parts := strings.Split(text, "/")
	if parts[0] != "" {
		return "", nil, false
	}
	parts = parts[1:]
	for len(parts) > 0 {
		name := parts[0]
		protocols = append(protocols, name)
		address += "/" + name
		parts = parts[1:]
		if slices.Contains(alone, name) {
			continue
		}
		if !slices.Contains(withValue, name) || len(parts) == 0 {
			return "", nil, false
		}
		value, ok := canonicalValue(name, parts[0])
		if !ok {
			return "", nil, false
		}
		address += "/" + value
		parts = parts[1:]
	}
	return address, protocols, true
}

func canonicalValue(name, value string) (string, bool) {
	switch name {
	case "ip4", "ip6":
		ip, err := netip.ParseAddr(value)
		if err != nil || ip.Zone() != "" || ip.Is4() != (name == "ip4") {
			return "", false
		}
		return ip.String(), true
	case "tcp", "udp", "dccp", "sctp":
		port, err := strconv.Atoi(value)
		if err != nil || port < 0 || port > 65_535 {
			return "", false
		}
		return strconv.Itoa(port), true
	}
	return value, true
}

// udp returns where a datagram to the address goes, if it is one of IPv4 and UDP, the only
// kind that a socket of IPv4 can send to.
func udp(address string) (netip.AddrPort, bool) {
	parts := strings.Split(address, "/")
	if len(parts) != 5 || parts[1] != "ip4" || parts[3] != "udp" {
		return netip.AddrPort{}, false
	}
	to, err := netip.ParseAddrPort(parts[2] + ":" + parts[4])
	return to, err == nil
}
