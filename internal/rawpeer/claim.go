package rawpeer

import (
	"encoding/binary"

	"github.com/gamelan-p2p/gamelan/identity"
)

// Claim is an identity message as fields. spec: comms 7.2
type Claim struct {
	Version   byte // of the frame
	Length    int  // announced; 0 is the body's, so a body cannot be announced as empty
	Addresses [][]byte
	Features  uint64
	Protocols []string
	Agent     string
	Signature []byte // encoded; nil is none
	Extra     []byte // behind the fields
}

// NewClaim returns a message without fault, but for its missing user agent.
func NewClaim(c identity.Claim) *Claim {
	signature := AppendVarint(nil, 1, uint64(c.Signature.Version))
	signature = AppendBytes(signature, 2, c.Signature.S[:])
	signature = AppendBytes(signature, 3, c.Signature.Nonce[:])
	signature = AppendVarint(signature, 4, uint64(c.Signature.UpdatedAt))
	return &Claim{Addresses: c.Addresses, Features: uint64(c.Features), Signature: signature}
}

// Frame returns the claim as it travels.
func (c *Claim) Frame() []byte {
	var body []byte
	for _, a := range c.Addresses {
		body = AppendBytes(body, 1, a)
	}
	body = AppendVarint(body, 2, c.Features)
	for _, p := range c.Protocols {
		body = AppendBytes(body, 3, []byte(p))
	}
	if c.Agent != "" {
		body = AppendBytes(body, 4, []byte(c.Agent))
	}
	if c.Signature != nil {
		body = AppendBytes(body, 5, c.Signature)
	}
	return IdentityFrame(c.Version, c.Length, append(body, c.Extra...))
}

// IdentityFrame puts the header before a body; a length of 0 is the body's. spec: comms 7.1
func IdentityFrame(version byte, length int, body []byte) []byte {
	if length == 0 {
		length = len(body)
	}
	b := binary.LittleEndian.AppendUint16([]byte{version}, uint16(length))
	return append(b, body...)
}

// AppendVarint appends a protobuf field of type 0, unless it is the default.
func AppendVarint(b []byte, field byte, v uint64) []byte {
	if v == 0 {
		return b
	}
	return binary.AppendUvarint(append(b, field<<3), v)
}

// AppendBytes appends a protobuf field of type 2.
func AppendBytes(b []byte, field byte, v []byte) []byte {
	b = binary.AppendUvarint(append(b, field<<3|2), uint64(len(v)))
	return append(b, v...)
}
