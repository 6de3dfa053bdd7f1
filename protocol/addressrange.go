package protocol

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	ma "github.com/multiformats/go-multiaddr"
)

// ErrBadAddressRange reports a text that describes no addresses.
var ErrBadAddressRange = errors.New("address: not an address, a range or a network")

// AddressRange describes addresses that a node must not dial. It is a comparable value;
// [ParseAddressRange] makes it.
type AddressRange struct {
	text  string
	exact string // binary form; empty: not one address
	net   netip.Prefix
	ip    [4]span
	port  span
}

// span is a range of numbers, both ends included.
type span struct{ from, to uint16 }

func (s span) holds(n uint16) bool { return s.from <= n && n <= s.to }

// ParseAddressRange reads one of three forms:
//
//   - a whole address, /ip4/203.0.113.7/tcp/18189: exactly that one;
//   - a range, /ip4/203.0.*.10:20/tcp/18000:18999: the first number is plain,
//     the others and the port are a number, * or from:to;
//   - a network, 203.0.113.0/24 or 2001:db8::/32: every address in it,
//     whatever its port.
//
// It fails with [ErrBadAddressRange].
//
// spec: comms 2.7
func ParseAddressRange(text string) (AddressRange, error) {
	if a, err := ma.NewMultiaddr(text); err == nil && len(a) > 0 {
		return AddressRange{text: text, exact: string(a.Bytes())}, nil
	}
	if p, err := netip.ParsePrefix(text); err == nil {
		return AddressRange{text: text, net: netip.PrefixFrom(p.Addr(), p.Bits()).Masked()}, nil
	}
	r := AddressRange{text: text}
	parts := strings.Split(text, "/")
	if len(parts) != 5 || parts[0] != "" || parts[1] != "ip4" || parts[3] != "tcp" {
		return AddressRange{}, badAddressRange(text)
	}
	octets := strings.Split(parts[2], ".")
	if len(octets) != 4 {
		return AddressRange{}, badAddressRange(text)
	}
	for i, o := range octets {
		var ok bool
		if r.ip[i], ok = parseSpan(o, 255); !ok || i == 0 && r.ip[i].from != r.ip[i].to {
			return AddressRange{}, badAddressRange(text)
		}
	}
	var ok bool
	if r.port, ok = parseSpan(parts[4], 65535); !ok {
		return AddressRange{}, badAddressRange(text)
	}
	return r, nil
}

func badAddressRange(text string) error {
	return fmt.Errorf("%w: %q; write /ip4/203.0.113.7/tcp/18189, /ip4/203.0.*.10:20/tcp/* or 203.0.113.0/24", ErrBadAddressRange, text)
}

// parseSpan reads a number, * or from:to.
func parseSpan(text string, most uint16) (s span, ok bool) {
	if text == "*" {
		return span{0, most}, true
	}
	from, to, two := strings.Cut(text, ":")
	a, err := strconv.ParseUint(from, 10, 16)
	if err != nil {
		return span{}, false
	}
	b := a
	if two {
		if b, err = strconv.ParseUint(to, 10, 16); err != nil {
			return span{}, false
		}
	}
	return span{uint16(a), uint16(b)}, a <= b && b <= uint64(most)
}

// Contains reports whether the range describes the address. A range with * or
// from:to looks at the IPv4 address and the port alone, wherever they stand.
func (r AddressRange) Contains(a ma.Multiaddr) bool {
	switch {
	case r.exact != "":
		return string(a.Bytes()) == r.exact
	case r.net.IsValid():
		for i := range a {
			if code := a[i].Code(); code == ma.P_IP4 || code == ma.P_IP6 {
				ip, _ := netip.AddrFromSlice(a[i].RawValue())
				return r.net.Contains(ip.Unmap())
			}
		}
		return false
	}
	ip, port := false, false
	for i := range a {
		v := a[i].RawValue()
		switch a[i].Code() {
		case ma.P_IP4:
			ip = r.ip[0].holds(uint16(v[0])) && r.ip[1].holds(uint16(v[1])) && r.ip[2].holds(uint16(v[2])) && r.ip[3].holds(uint16(v[3]))
		case ma.P_TCP:
			port = r.port.holds(binary.BigEndian.Uint16(v))
		}
	}
	return ip && port
}

// String returns the text that the range was read from.
func (r AddressRange) String() string { return r.text }
