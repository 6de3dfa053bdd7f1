package main

import (
	"strings"

	"github.com/gamelan-p2p/gamelan/identity"
)

const peerHint = `give a node id or a public key that gamelan peers lists, or KEY::ADDRESS as gamelan id prints it`

// checkPeer refuses what can be no peer before anybody is asked: a peer is a
// node id in full or as it is printed, a public key, or KEY::ADDRESS.
func checkPeer(s string) error {
	key, _, seed := strings.Cut(s, "::")
	_, keyErr := identity.ParsePublicKey(key)
	_, idErr := identity.ParseNodeID(s)
	if keyErr == nil || (!seed && (idErr == nil || isShortID(s))) {
		return nil
	}
	return usage(peerHint, "%q is no peer", s)
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
	if strings.Contains(s, "::") {
		return usage("give a node id or a public key that gamelan peers lists", "%q is no peer", s)
	}
	return checkPeer(s)
}
