package wirecheck

import (
	"crypto/rand"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/rawpeer"
)

// ourAddress is /ip4/203.0.113.7/tcp/18189, which nobody has.
var ourAddress = []byte("\x04\xcb\x00\x71\x07\x06\x47\x0d")

// claim is one without fault, of the probe.
func (p *probe) claim() *rawpeer.Claim { return p.claimOf(time.Now(), ourAddress) }

// claimOf is one without fault that is dated and has these addresses.
func (p *probe) claimOf(at time.Time, addresses ...[]byte) *rawpeer.Claim {
	return p.featured(identity.FeatureNone, at, addresses...)
}

// featured is one that has these features, which are signed whatever they are.
func (p *probe) featured(features identity.Features, at time.Time, addresses ...[]byte) *rawpeer.Claim {
	signed, err := identity.SignClaim(p.secret, features, addresses, at, rand.Reader)
	if err != nil { // no randomness: the node will refuse it, and the check says so
		return &rawpeer.Claim{Addresses: addresses, Features: uint64(features), Agent: p.UserAgent}
	}
	c := rawpeer.NewClaim(signed)
	c.Agent = p.UserAgent
	return c
}
