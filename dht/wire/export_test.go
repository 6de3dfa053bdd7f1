package wire

import (
	"slices"

	"github.com/gamelan-p2p/gamelan/identity"
)

// CheckMask reports whether a mask may be used.
func CheckMask(mask [32]byte) error {
	var k keys
	return k.setMask(mask)
}

// MaxSigners is how many keys of signers a [Verifier] keeps.
const MaxSigners = maxSigners

// Signers returns the keys that the verifier has cached, the one that is dropped
// next in front.
func (v *Verifier) Signers() (list []identity.PublicKey) {
	for _, key := range slices.Concat(v.order[v.next:], v.order[:v.next]) {
		if _, ok := v.keys[key]; ok {
			list = append(list, key)
		}
	}
	if len(list) != len(v.keys) {
		panic("keys that are in no order")
	}
	return list
}
