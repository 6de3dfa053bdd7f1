package api

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
	"github.com/gamelan-p2p/gamelan/peerstore"
)

// Hints for a text that is no peer, and for an unknown peer.
const (
	PeerHint    = "give a name or a public key that gamelan peers lists, or KEY::ADDRESS as gamelan id prints it"
	GivenHint   = `compare KEY::ADDRESS with what "gamelan id --address" prints on the other node`
	KnownHint   = "give a name or a public key that gamelan peers lists"
	UnknownHint = `give a public key that gamelan peers lists, or add it with "gamelan peers add KEY::ADDRESS"`
)

// CheckPeer refuses a text that cannot stand for a peer, before the node is asked. A peer is
// a node id, a public key, the beginning of one of them, or KEY::ADDRESS.
func CheckPeer(s string) error {
	if strings.Contains(s, "::") {
		return CheckSeed(s)
	}
	_, keyErr := identity.ParsePublicKey(s)
	_, idErr := identity.ParseNodeID(s)
	if keyErr == nil || idErr == nil || inspect.IsPrefix(s) {
		return nil
	}
	return cmp.Or(checkKey(s), checkForm(s), error(failure.Usage(PeerHint, "%q is no peer", s)))
}

// checkForm refuses a text that is nearly KEY::ADDRESS: an address alone, or one that is not
// separated from the key by two colons.
func checkForm(s string) error {
	const alone = "%q is an address without the key of the node"
	if _, err := address.Parse(s); err == nil {
		return failure.Usage(fmt.Sprintf("write KEY::%s, as gamelan id --address prints it on the other node", s), alone, s)
	}
	if write, ok := strings.CutPrefix(address.Advice(s), "write it as "); ok && len(s) < 2*identity.KeyLen {
		return failure.Usage(fmt.Sprintf("write KEY::%s, as gamelan id --address prints it on the other node", write), alone, s)
	}
	if len(s) > 2*identity.KeyLen {
		key, addr := s[:2*identity.KeyLen], strings.TrimLeft(s[2*identity.KeyLen:], ":@/ ")
		if _, err := identity.ParsePublicKey(key); err == nil && addr != "" {
			return failure.Usage("write two colons between them: KEY::ADDRESS, as gamelan id --address prints it", "%q is no peer: it begins with a key, and then comes no \"::\"", s)
		}
	}
	return nil
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

const seedHint = "give KEY::ADDRESS as gamelan id --address prints it on the other node"

// CheckSeed refuses a text that is not KEY::ADDRESS.
func CheckSeed(s string) error {
	_, err := peerstore.ParseSeed(s)
	if err == nil {
		return nil
	}
	key, addr, with := strings.Cut(s, "::")
	if !with {
		if _, err := identity.ParsePublicKey(s); err == nil {
			return checkAddresses(s, "")
		}
		if err := cmp.Or(checkKey(s), checkForm(s)); err != nil {
			return err
		}
	}
	if _, bad := identity.ParsePublicKey(key); bad == nil {
		if err := checkAddresses(s, addr); err != nil {
			return err
		}
	}
	if err := checkKey(key); err != nil {
		return err
	}
	if _, bad := identity.ParsePublicKey(key); bad != nil {
		return failure.Usage(seedHint, "%q is no public key, which is 64 hexadecimal digits", key)
	}
	what, _, _ := strings.Cut(failure.Text(err), "; ")
	return failure.Usage(seedHint, "%q is no peer with an address: %s", s, what)
}

// checkAddresses refuses the addresses of s if one of them cannot be read.
func checkAddresses(s, addrs string) error {
	if addrs == "" {
		return failure.Usage(seedHint, "%q has no address", s)
	}
	for a := range strings.SplitSeq(addrs, "::") {
		if _, err := address.Parse(a); err == nil {
			continue
		}
		advice := cmp.Or(address.Advice(a), "write it as /ip4/203.0.113.7/tcp/18189 or /dns4/name/tcp/18189")
		return failure.Usage(advice, "%q is no address", a)
	}
	return nil
}

// SeedForm says in a help what KEY::ADDRESS is.
const SeedForm = "KEY::ADDRESS as gamelan id --address prints it on the other node, such as KEY::/ip4/192.0.2.7/tcp/18189 with the 64 digits of its public key for KEY"

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
