package address

import (
	"cmp"
	"slices"
	"strings"

	ma "github.com/multiformats/go-multiaddr"
)

// scope is how far an address leads; the nearer, the greater.
type scope int

const (
	anywhere scope = iota
	network        // private, carrier-grade, documentation and so on
	link           // link-local
	machine        // loopback, and ports in memory
)

func scopeOf(a ma.Multiaddr) scope {
	if len(a) == 0 {
		return anywhere
	}
	if ip, ok := ipOf(a); ok {
		switch ip = ip.Unmap(); {
		case ip.IsLoopback():
			return machine
		case ip.IsLinkLocalUnicast():
			return link
		}
	}
	if name := strings.ToLower(a[0].Value()); isDNS(a[0].Code()) && (name == "localhost" || strings.HasSuffix(name, ".localhost")) {
		return machine
	}
	if External(a) {
		return anywhere
	}
	if a[0].Code() == ma.P_MEMORY {
		return machine
	}
	return network
}

// Beyond reports whether an address leads to another machine, as far as it tells.
func Beyond(a ma.Multiaddr) bool { return scopeOf(a) <= network }

// Foreign reports whether an address that a node claims leads elsewhere from here: a loopback
// address of another machine, or a link-local address of another link. over is the address of
// the node from which the claim was heard; nil is one that is not known.
func Foreign(a, over ma.Multiaddr) bool {
	from := scopeOf(over)
	switch scopeOf(a) {
	case machine:
		return from != machine && a[0].Code() != ma.P_MEMORY
	case link:
		return from != machine && from != link
	}
	return false
}

// Claimable returns those of a node's own addresses that it tells others, each once, those that
// lead farthest first, and at most so many. Link-local addresses are among them
// only if there are no others, and loopback addresses only if there are not even these.
func Claimable(own []ma.Multiaddr, most int) []ma.Multiaddr {
	var list []ma.Multiaddr
	for _, a := range own {
		if !slices.ContainsFunc(list, a.Equal) {
			list = append(list, a)
		}
	}
	slices.SortStableFunc(list, func(a, b ma.Multiaddr) int { return cmp.Compare(scopeOf(a), scopeOf(b)) })
	if len(list) == 0 {
		return nil
	}
	nearest := max(scopeOf(list[0]), network)
	list = slices.DeleteFunc(list, func(a ma.Multiaddr) bool { return scopeOf(a) > nearest })
	return list[:min(len(list), most)]
}
