package address

import (
	"errors"
	"fmt"
	"net/netip"

	ma "github.com/multiformats/go-multiaddr"
)

// ErrNotAdvertised reports addresses that a node must not advertise: other nodes
// would refuse it for them, or ban it.
var ErrNotAdvertised = errors.New("address: cannot be advertised")

// Policy says what a node may advertise about itself (V3).
type Policy struct {
	// TestAddresses allows addresses that are not external.
	TestAddresses bool
	// OutboundOnly allows one private IPv4 address (RFC 1918) as the only
	// one, for a node that accepts no connections: some peers ban a node that
	// claims no address.
	OutboundOnly bool
	// Given allows addresses of private networks: the user says that peers reach them there.
	Given bool
	// Max is the greatest number of addresses; 0 means 5.
	Max int
}

// Check reports whether the list may be advertised: 1 to Max addresses, each
// well formed, naming a specific host, and external unless the policy says
// otherwise. At least one must be of a kind that every peer can dial: not /dns6 or
// /dnsaddr. The error is [ErrNotAdvertised] and says what to change.
func (p Policy) Check(list []ma.Multiaddr) error {
	limit := p.Max
	if limit == 0 {
		limit = 5
	}
	if len(list) == 0 {
		return fmt.Errorf("%w: there is none; set a public address, or outbound-only", ErrNotAdvertised)
	}
	if len(list) > limit {
		return fmt.Errorf("%w: %d addresses, at most %d; remove some", ErrNotAdvertised, len(list), limit)
	}
	dialable := false
	for _, a := range list {
		if err := p.checkOne(a, len(list) == 1); err != nil {
			return err
		}
		code := a[0].Code()
		dialable = dialable || code != ma.P_DNS6 && code != ma.P_DNSADDR
	}
	if !dialable {
		return fmt.Errorf("%w: some peers cannot dial dns6 or dnsaddr; add an ip4, ip6, dns4 or onion3 address", ErrNotAdvertised)
	}
	return nil
}

func (p Policy) checkOne(a ma.Multiaddr, only bool) error {
	if err := Check(a); err != nil {
		return fmt.Errorf("%w: %v: %w", ErrNotAdvertised, a, err)
	}
	if ip, ok := ipOf(a); ok && ip.Unmap().IsUnspecified() {
		return fmt.Errorf("%w: %v names no machine; use the address of one", ErrNotAdvertised, a)
	}
	if isDNS(a[0].Code()) && !hostName(a[0].Value()) {
		return fmt.Errorf("%w: %v is not a host name", ErrNotAdvertised, a)
	}
	if p.TestAddresses || External(a) || p.OutboundOnly && only && private(a) || p.Given && scopeOf(a) == network {
		return nil
	}
	return fmt.Errorf("%w: %v cannot be reached from outside; use a public address, or allow test addresses", ErrNotAdvertised, a)
}

func ipOf(a ma.Multiaddr) (netip.Addr, bool) {
	if len(a) == 0 {
		return netip.Addr{}, false
	}
	switch a[0].Code() {
	case ma.P_IP4, ma.P_IP6:
		return netip.AddrFromSlice(a[0].RawValue())
	}
	return netip.Addr{}, false
}

func private(a ma.Multiaddr) bool {
	ip, ok := ipOf(a)
	return ok && ip.Is4() && within(ip, private4)
}
