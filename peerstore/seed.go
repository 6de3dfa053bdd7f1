package peerstore

import (
	"errors"
	"fmt"
	"strings"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
)

// ErrBadSeed reports text that does not describe a peer.
var ErrBadSeed = errors.New("peerstore: bad peer")

// maxSeed bounds the text of a seed, in bytes.
const maxSeed = 4096

const seedForm = "write it as KEY::ADDRESS, for instance 4a…9f::/ip4/203.0.113.7/tcp/18189"

// ParseSeed returns the peer of a text KEY::ADDRESS[::ADDRESS…]: a full node, with the
// seed flag, and with addresses of the source Config. It fails with [ErrBadSeed].
//
// spec: comms 12.4.
func ParseSeed(s string) (Peer, error) {
	if len(s) > maxSeed {
		return Peer{}, fmt.Errorf("%w: longer than %d bytes; %s", ErrBadSeed, maxSeed, seedForm)
	}
	s = strings.TrimSpace(s)
	text, rest, found := strings.Cut(s, "::")
	if !found || rest == "" {
		return Peer{}, fmt.Errorf("%w: no address; %s", ErrBadSeed, seedForm)
	}
	key, err := identity.ParsePublicKey(text)
	if err != nil {
		return Peer{}, fmt.Errorf("%w: %w; %s", ErrBadSeed, err, seedForm)
	}
	p := Peer{Key: key, ID: key.NodeID(), Features: identity.FeatureNode, Flags: FlagSeed}
	for rest != "" {
		var addr Address
		if addr, rest, err = cutAddress(rest); err != nil { // err already has the advice
			return Peer{}, fmt.Errorf("%w: %w", ErrBadSeed, err)
		}
		if find(p.Addresses, addr.Addr) >= 0 {
			continue
		}
		if len(p.Addresses) == MaxAddresses {
			return Peer{}, fmt.Errorf("%w: more than %d addresses; leave some out", ErrBadSeed, MaxAddresses)
		}
		p.Addresses = append(p.Addresses, addr)
	}
	return p, nil
}

// cutAddress cuts the first address off a list separated by "::". The text of an IPv6
// address may contain "::" as well or end in it, so the separator is the first "::"
// with a complete address before it.
func cutAddress(s string) (addr Address, rest string, err error) {
	for from := 0; ; {
		end := strings.Index(s[from:], "::/")
		text, after := s, ""
		if end >= 0 {
			end += from
			text, after = s[:end], s[end+len("::"):]
		}
		a, parseErr := address.Parse(text)
		if parseErr == nil {
			parseErr = address.Check(a)
		}
		if parseErr == nil {
			return Address{Addr: a, Source: Config}, after, nil
		}
		if err == nil {
			err = parseErr
		}
		if end < 0 {
			return Address{}, "", err
		}
		from = end + len("::/")
	}
}

// Seed returns the text that [ParseSeed] reads, with every address, best first.
// A peer without addresses has only its key.
func (p Peer) Seed() string {
	var b strings.Builder
	b.WriteString(p.Key.String())
	for _, a := range p.Addresses {
		b.WriteString("::")
		b.WriteString(a.Addr.String())
	}
	return b.String()
}
