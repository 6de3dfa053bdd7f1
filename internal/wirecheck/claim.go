package wirecheck

import (
	"crypto/rand"
	"encoding/binary"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
)

// claim is an identity message as fields, so that each of them can be wrong:
// spec: comms 7.2.
type claim struct {
	version   byte // of the frame
	length    int  // announced; -1 is the body's
	addresses [][]byte
	features  uint64
	protocols []string
	agent     string
	signature []byte // encoded; nil: none
	extra     []byte // behind the fields
}

// ourAddress is /ip4/203.0.113.7/tcp/18189, which nobody has.
var ourAddress = []byte("\x04\xcb\x00\x71\x07\x06\x47\x0d")

// claim is one without fault, of the probe.
func (p *probe) claim() *claim { return p.claimOf(time.Now(), ourAddress) }

// claimOf is one without fault that is dated and has these addresses.
func (p *probe) claimOf(at time.Time, addresses ...[]byte) *claim {
	return p.featured(identity.FeatureNone, at, addresses...)
}

// featured is one that has these features, which are signed whatever they are.
func (p *probe) featured(features identity.Features, at time.Time, addresses ...[]byte) *claim {
	c := &claim{length: -1, addresses: addresses, features: uint64(features), agent: p.UserAgent}
	signed, err := identity.SignClaim(p.secret, features, addresses, at, rand.Reader)
	if err != nil { // no randomness: the node will refuse it, and the check says so
		return c
	}
	c.signature = encodeSignature(signed.Signature)
	return c
}

func encodeSignature(s identity.Signature) []byte {
	b := number(nil, 1, uint64(s.Version))
	b = text(b, 2, s.S[:])
	b = text(b, 3, s.Nonce[:])
	return number(b, 4, uint64(s.UpdatedAt))
}

// frame is the claim on the wire.
func (c *claim) frame() []byte {
	var body []byte
	for _, a := range c.addresses {
		body = text(body, 1, a)
	}
	body = number(body, 2, c.features)
	for _, p := range c.protocols {
		body = text(body, 3, []byte(p))
	}
	if c.agent != "" {
		body = text(body, 4, []byte(c.agent))
	}
	if c.signature != nil {
		body = text(body, 5, c.signature)
	}
	return framed(c.version, c.length, append(body, c.extra...))
}

// framed puts the header before a body: spec: comms 7.1.
func framed(version byte, length int, body []byte) []byte {
	if length < 0 {
		length = len(body)
	}
	b := binary.LittleEndian.AppendUint16([]byte{version}, uint16(length))
	return append(b, body...)
}

// number appends a field of protobuf's type 0, unless it is the default.
func number(b []byte, field byte, v uint64) []byte {
	if v == 0 {
		return b
	}
	return binary.AppendUvarint(append(b, field<<3), v)
}

// text appends a field of protobuf's type 2.
func text(b []byte, field byte, v []byte) []byte {
	b = binary.AppendUvarint(append(b, field<<3|2), uint64(len(v)))
	return append(b, v...)
}
