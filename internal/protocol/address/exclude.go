package address

import (
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/protocol"
)

// Excluded reports whether one of the ranges describes the address.
func Excluded(ranges []protocol.AddressRange, a ma.Multiaddr) bool {
	for _, r := range ranges {
		if r.Contains(a) {
			return true
		}
	}
	return false
}
