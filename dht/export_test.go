package dht

import (
	"fmt"
	"slices"

	"github.com/gamelan-p2p/gamelan/identity"
)

// Held says what an [Outbound] holds, "" for nothing.
func (o *Outbound) Held() (s string) {
	for _, x := range []struct {
		what string
		n    int
	}{
		{"sends", len(o.sends)},
		{"given", len(o.given)},
		{"peers", len(o.peers)},
		{"wakes", len(o.wakes.list)},
		{"copies", o.copies},
		{"copies passed on", o.relays},
		{"messages passed on", len(o.relaying)},
	} {
		if x.n != 0 {
			s += fmt.Sprintf("%d %s ", x.n, x.what)
		}
	}
	return s
}

// Sizes returns how many wakes are set, and how many copies stand in lists of
// peers.
func (o *Outbound) Sizes() (wakes, listed int) {
	for _, p := range o.peers {
		listed += len(p.queue.list) + len(p.relays.list) + len(p.doubtful.list)
	}
	return len(o.wakes.list), listed
}

// Peers returns how many peers an [Outbound] knows something of.
func (o *Outbound) Peers() int { return len(o.peers) }

// Kept returns how many of the ended sends that a [Ledger] remembers have
// somebody to call.
func (l *Ledger) Kept() (n int) {
	for _, e := range l.last {
		if e.changed != nil {
			n++
		}
	}
	return n
}

// CheckMask reports whether a mask may be used.
func CheckMask(mask [32]byte) error {
	var k keys
	return k.setMask(mask)
}

// MaxSigners is how many keys of signers an [Inbound] keeps.
const MaxSigners = maxSigners

// Signers returns the keys of signers that an [Inbound] has ready, the one that
// is forgotten next in front.
func (in *Inbound) Signers() (list []identity.PublicKey) {
	s := &in.signers
	for _, key := range slices.Concat(s.order[s.next:], s.order[:s.next]) {
		if _, ok := s.keys[key]; ok {
			list = append(list, key)
		}
	}
	if len(list) != len(s.keys) {
		panic("keys that are in no order")
	}
	return list
}

// Proven returns how many of the proofs are of signatures.
func Proven(list []Proof) (n int) {
	for _, p := range list {
		if p.proven {
			n++
		}
	}
	return n
}
