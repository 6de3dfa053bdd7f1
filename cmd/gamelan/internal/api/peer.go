package api

import (
	"strings"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol/address"
)

// Hints for a text that is no peer, and for an unknown peer.
const (
	PeerHint    = "give a node id or a public key that gamelan peers lists, or KEY::ADDRESS as gamelan id prints it"
	KnownHint   = "give a node id or a public key that gamelan peers lists"
	UnknownHint = KnownHint + `, or add it with "gamelan peers add KEY::ADDRESS"`
)

// CheckPeer refuses a text that cannot name a peer, before the node is asked. A peer is a
// node id in full or as it is printed, a public key, or KEY::ADDRESS.
func CheckPeer(s string) error {
	if strings.Contains(s, "::") {
		return CheckSeed(s)
	}
	_, keyErr := identity.ParsePublicKey(s)
	_, idErr := identity.ParseNodeID(s)
	if keyErr == nil || idErr == nil || IsShortID(s) {
		return nil
	}
	return failure.Usage(PeerHint, "%q is no peer", s)
}

// CheckSeed refuses a text that is not KEY::ADDRESS.
func CheckSeed(s string) error {
	_, err := peerstore.ParseSeed(s)
	if err == nil {
		return nil
	}
	key, addr, _ := strings.Cut(s, "::")
	if _, bad := identity.ParsePublicKey(key); bad == nil {
		if advice := address.Advice(addr); advice != "" {
			return failure.Usage(advice, "%q is no address", addr)
		}
	}
	return failure.Usage("give KEY::ADDRESS as gamelan id prints it", "%q is no peer with an address: %s", s, withoutRemedy(err))
}

// withoutRemedy returns the text of err without its remedy.
func withoutRemedy(err error) string {
	text, _, _ := strings.Cut(failure.Text(err), "; ")
	return text
}

// IsShortID reports whether s is the printed part of a node id: 16 hexadecimal digits.
func IsShortID(s string) bool {
	_, err := identity.ParseNodeID(s + "0000000000")
	return len(s) == 16 && err == nil
}

// CheckKnownPeer is CheckPeer without KEY::ADDRESS, for actions on peers that the node
// knows already.
func CheckKnownPeer(s string) error {
	if key, _, seed := strings.Cut(s, "::"); seed {
		if _, err := identity.ParsePublicKey(key); err == nil {
			return failure.Usage("leave the address out", "%q has an address, but this command is for a known peer", s)
		}
	}
	if CheckPeer(s) != nil {
		return failure.Usage(KnownHint, "%q is no peer", s)
	}
	return nil
}
