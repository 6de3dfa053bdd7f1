package api

import (
	"cmp"
	"encoding/hex"
	"strings"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol/address"
)

// Hints for a text that is no peer, and for an unknown peer.
const (
	PeerHint    = "give a name, a node id or a public key that gamelan peers lists, or KEY::ADDRESS as gamelan id prints it"
	KnownHint   = "give a name, a node id or a public key that gamelan peers lists"
	UnknownHint = `give a node id or a public key that gamelan peers lists, or add it with "gamelan peers add KEY::ADDRESS"`
)

// CheckPeer refuses a text that cannot stand for a peer, before the node is asked. A peer is
// a node id, a public key, the beginning of one of them, or KEY::ADDRESS.
func CheckPeer(s string) error {
	if strings.Contains(s, "::") {
		return CheckSeed(s)
	}
	_, keyErr := identity.ParsePublicKey(s)
	_, idErr := identity.ParseNodeID(s)
	if keyErr == nil || idErr == nil || IsPrefix(s) {
		return nil
	}
	return cmp.Or(checkKey(s), error(failure.Usage(PeerHint, "%q is no peer", s)))
}

// checkKey refuses the digits of a public key that nobody can have.
func checkKey(s string) error {
	_, notHex := hex.DecodeString(s)
	_, notKey := identity.ParsePublicKey(s)
	if len(s) == 2*identity.KeyLen && notHex == nil && notKey != nil {
		return failure.Usage("at least one digit is wrong; copy it again from gamelan id on the other node", "%q is no public key", s)
	}
	return nil
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
	if err := checkKey(key); err != nil {
		return err
	}
	return failure.Usage("give KEY::ADDRESS as gamelan id prints it", "%q is no peer with an address: %s", s, withoutRemedy(err))
}

// withoutRemedy returns the text of err without its remedy.
func withoutRemedy(err error) string {
	text, _, _ := strings.Cut(failure.Text(err), "; ")
	return text
}

// MinPrefix is how many digits of a node id or a public key are enough to look for it.
const MinPrefix = 4

// IsPrefix reports whether s may be the beginning of a node id or of a public key: at least
// [MinPrefix] hexadecimal digits, but no whole one.
func IsPrefix(s string) bool {
	return len(s) >= MinPrefix && len(s) < 2*identity.KeyLen && len(s) != 2*identity.NodeIDLen && strings.Trim(s, "0123456789abcdefABCDEF") == ""
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
		return cmp.Or(checkKey(s), error(failure.Usage(KnownHint, "%q is no peer", s)))
	}
	return nil
}
