package main

import (
	"strings"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol/address"
)

// What to do about a peer that is none, or is not known.
const (
	peerHint    = "give a node id or a public key that gamelan peers lists, or KEY::ADDRESS as gamelan id prints it"
	knownHint   = "give a node id or a public key that gamelan peers lists"
	unknownHint = knownHint + `, or add it with "gamelan peers add KEY::ADDRESS"`
)

// checkPeer refuses what can be no peer before anybody is asked: a peer is a
// node id in full or as it is printed, a public key, or KEY::ADDRESS.
func checkPeer(s string) error {
	if strings.Contains(s, "::") {
		return checkSeed(s)
	}
	_, keyErr := identity.ParsePublicKey(s)
	_, idErr := identity.ParseNodeID(s)
	if keyErr == nil || idErr == nil || isShortID(s) {
		return nil
	}
	return usage(peerHint, "%q is no peer", s)
}

// checkSeed refuses what is not KEY::ADDRESS.
func checkSeed(s string) error {
	_, err := peerstore.ParseSeed(s)
	if err == nil {
		return nil
	}
	key, addr, _ := strings.Cut(s, "::")
	if _, bad := identity.ParsePublicKey(key); bad == nil {
		if advice := address.Advice(addr); advice != "" {
			return usage(advice, "%q is no address", addr)
		}
	}
	return usage("give KEY::ADDRESS as gamelan id prints it", "%q is no peer with an address: %s", s, withoutRemedy(err))
}

// withoutRemedy is what is wrong, without what to do about it.
func withoutRemedy(err error) string {
	text, _, _ := strings.Cut(withoutPrefix(err), "; ")
	return text
}

// isShortID tells whether s is the printed part of a node id: 16 hexadecimal
// digits.
func isShortID(s string) bool {
	_, err := identity.ParseNodeID(s + "0000000000")
	return len(s) == 16 && err == nil
}

// checkKnownPeer is checkPeer without KEY::ADDRESS, for what can only be done
// to a peer that the node knows already.
func checkKnownPeer(s string) error {
	if key, _, seed := strings.Cut(s, "::"); seed {
		if _, err := identity.ParsePublicKey(key); err == nil {
			return usage("leave the address out", "%q has an address, and this is done to a peer that is known", s)
		}
	}
	if checkPeer(s) != nil {
		return usage(knownHint, "%q is no peer", s)
	}
	return nil
}
