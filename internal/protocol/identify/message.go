package identify

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
	"github.com/gamelan-p2p/gamelan/internal/protocol/pb"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// HeaderLen is the number of bytes before the body of a frame.
const HeaderLen = 3

// ErrNotSendable reports an identity message for which other nodes would refuse or
// ban the sender.
var ErrNotSendable = errors.New("identify: message cannot be sent")

// Message is a node's description of itself: its signed claim, the protocols that it
// accepts on inbound substreams, and the software that it runs. Protocols and user
// agent are not signed. In a received message, protocols may hold any bytes and the
// user agent any UTF-8: see [protocol.Printable].
type Message struct {
	Claim     identity.Claim
	Protocols []protocol.ID
	UserAgent string
}

// CheckOwn reports whether a node may send the message: 1 to 5 well-formed
// addresses, at most 20 protocol ids that pass [protocol.ID.Validate], and a
// user agent of at most 50 bytes of printable ASCII (spec: comms 2.6, 7.4;
// V5, V7). It does not check the [address.Policy]. The error is [ErrNotSendable] and
// says what to change.
func CheckOwn(m Message) error {
	limits := protocol.DefaultLimits()
	if n := len(m.Claim.Addresses); n == 0 || n > limits.Addresses {
		return fmt.Errorf("%w: %d addresses; advertise 1 to %d", ErrNotSendable, n, limits.Addresses)
	}
	for i, a := range m.Claim.Addresses {
		if err := address.CheckBytes(a); err != nil {
			return fmt.Errorf("%w: address %d: %w", ErrNotSendable, i+1, err)
		}
	}
	if !m.Claim.Features.Valid() {
		return fmt.Errorf("%w: %v", ErrNotSendable, m.Claim.Features)
	}
	if n := len(m.Protocols); n > limits.Protocols {
		return fmt.Errorf("%w: %d protocols, at most %d; unregister some", ErrNotSendable, n, limits.Protocols)
	}
	for _, id := range m.Protocols {
		if err := id.Validate(); err != nil {
			return fmt.Errorf("%w: %w", ErrNotSendable, err)
		}
	}
	if n := len(m.UserAgent); n > limits.UserAgent {
		return fmt.Errorf("%w: user agent of %d bytes, at most %d; shorten it", ErrNotSendable, n, limits.UserAgent)
	}
	if !protocol.PrintableASCII(m.UserAgent) {
		return fmt.Errorf("%w: user agent %q; use printable ASCII only", ErrNotSendable, m.UserAgent)
	}
	return nil
}

// Fits reports whether the message has room for one more protocol.
func Fits(m Message, id protocol.ID) bool {
	limits := protocol.DefaultLimits()
	return len(m.Protocols) < limits.Protocols && proto.Size(wireOf(m))+len(id)+fieldLen <= limits.IdentityBody
}

// fieldLen is the number of bytes before an id in the body.
const fieldLen = 2

// Append appends the whole frame of the message, with the given version in its
// header. It returns [ErrNotSendable] for a message that [CheckOwn] refuses, and for a
// body above 1024 bytes.
func Append(dst []byte, version uint8, m Message) ([]byte, error) {
	if err := CheckOwn(m); err != nil {
		return dst, err
	}
	msg := wireOf(m)
	n := proto.Size(msg)
	if limit := protocol.DefaultLimits().IdentityBody; n > limit {
		return dst, fmt.Errorf("%w: %d bytes, at most %d; advertise fewer or shorter protocols and addresses", ErrNotSendable, n, limit)
	}
	start := len(dst)
	dst = append(dst, version, byte(n), byte(n>>8))
	dst, err := proto.MarshalOptions{Deterministic: true}.MarshalAppend(dst, msg)
	if err != nil {
		return dst[:start], fmt.Errorf("%w: %w", ErrNotSendable, err)
	}
	return dst, nil
}

func wireOf(m Message) *pb.PeerIdentityMsg {
	s := &m.Claim.Signature
	msg := &pb.PeerIdentityMsg{
		Addresses:          m.Claim.Addresses,
		Features:           uint32(m.Claim.Features),
		SupportedProtocols: make([][]byte, len(m.Protocols)),
		UserAgent:          m.UserAgent,
		IdentitySignature: &pb.IdentitySignature{
			Version:     uint32(s.Version),
			Signature:   s.S[:],
			PublicNonce: s.Nonce[:],
			UpdatedAt:   s.UpdatedAt,
		},
	}
	for i, id := range m.Protocols {
		msg.SupportedProtocols[i] = []byte(id)
	}
	return msg
}
