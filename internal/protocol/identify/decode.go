package identify

import (
	"errors"
	"fmt"
	"math"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
	"github.com/gamelan-p2p/gamelan/internal/protocol/pb"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// stage names the exchange in violations.
const stage = "identity"

var (
	// ErrUndecodable reports a body that is no identity message.
	ErrUndecodable = errors.New("identify: undecodable message")
	// ErrTooMany reports more protocols, addresses or bytes of a field than
	// the limit.
	ErrTooMany = errors.New("identify: over the limit")
	// ErrBadAddress reports an address that is no multiaddr (no ban) or has a
	// structure that no claim may have (a ban).
	ErrBadAddress = errors.New("identify: bad address")
	// ErrBadFeatures reports feature bits that do not exist.
	ErrBadFeatures = errors.New("identify: unknown features")
	// ErrNoSignature reports a message without a signature, or with one
	// whose fields do not decode.
	ErrNoSignature = errors.New("identify: no signature that decodes")
)

// First and last date that the reference implementation can hold, in Unix seconds:
// the years -262143 to 262142. It fails to decode other dates, and does not ban for
// them.
const (
	minDate = -8_334_601_228_800
	maxDate = 8_210_266_876_799
)

func violation(ban time.Duration, err error) error {
	return protocol.Violated(stage, ban, err)
}

// Decode decodes and checks a body that [Read] returned. key is the peer's key; its
// claim must be signed by it. The checks are in the order of spec: comms 7.4. An error
// for which the peer is banned is a [protocol.Violation]; other errors only end the
// connection.
//
// Decode accepts an empty list of addresses, and well-formed addresses that are not
// usable (V4, V5, V6): the caller keeps those that [address.Select] returns. The claim
// holds the received address bytes.
func Decode(body []byte, key identity.PublicKey, p protocol.Profile, now time.Time) (Message, error) {
	var msg pb.PeerIdentityMsg
	if err := proto.Unmarshal(body, &msg); err != nil { // row 5
		return Message{}, violation(protocol.BanLong, fmt.Errorf("%w: %w", ErrUndecodable, err))
	}
	if err := checkCounts(&msg, p.Limits); err != nil { // rows 6 to 10
		return Message{}, violation(protocol.BanLong, err)
	}
	for i, a := range msg.Addresses { // row 11
		if err := address.Parses(a); err != nil {
			return Message{}, fmt.Errorf("%w %d: %w", ErrBadAddress, i+1, err)
		}
	}
	features := identity.Features(msg.Features)
	if !features.Valid() { // row 12
		return Message{}, fmt.Errorf("%w: %#x", ErrBadFeatures, msg.Features)
	}
	signature, err := decodeSignature(msg.IdentitySignature) // row 13
	if err != nil {
		return Message{}, err
	}
	for i, a := range msg.Addresses { // row 14
		if err := address.CheckBytes(a); err != nil {
			return Message{}, violation(protocol.BanLong, fmt.Errorf("%w %d: %w", ErrBadAddress, i+1, err))
		}
	}
	claim := identity.Claim{Key: key, Features: features, Addresses: msg.Addresses, Signature: signature}
	if err := claim.VerifyWithin(now, p.Limits.ClaimSkew); err != nil { // row 15
		return Message{}, violation(protocol.BanLong, err)
	}
	m := Message{Claim: claim, UserAgent: msg.UserAgent}
	if n := len(msg.SupportedProtocols); n > 0 {
		m.Protocols = make([]protocol.ID, n)
	}
	for i, id := range msg.SupportedProtocols {
		m.Protocols[i] = protocol.ID(id)
	}
	return m, nil
}

// checkCounts does the checks of rows 6, 7, 9 and 10. Row 8, an empty list of
// addresses, is no longer an offence (V5).
func checkCounts(msg *pb.PeerIdentityMsg, l protocol.Limits) error {
	if n := len(msg.SupportedProtocols); n > l.Protocols {
		return fmt.Errorf("%w: %d protocols, at most %d", ErrTooMany, n, l.Protocols)
	}
	for _, id := range msg.SupportedProtocols {
		if n := len(id); n > l.ProtocolID {
			return fmt.Errorf("%w: protocol id of %d bytes, at most %d", ErrTooMany, n, l.ProtocolID)
		}
	}
	if n := len(msg.Addresses); n > l.Addresses {
		return fmt.Errorf("%w: %d addresses, at most %d", ErrTooMany, n, l.Addresses)
	}
	if n := len(msg.UserAgent); n > l.UserAgent {
		return fmt.Errorf("%w: user agent of %d bytes, at most %d", ErrTooMany, n, l.UserAgent)
	}
	return nil
}

func decodeSignature(msg *pb.IdentitySignature) (s identity.Signature, err error) {
	switch {
	case msg == nil:
		return s, fmt.Errorf("%w: there is none", ErrNoSignature)
	case msg.Version > math.MaxUint8:
		return s, fmt.Errorf("%w: version %d", ErrNoSignature, msg.Version)
	case len(msg.Signature) != len(s.S):
		return s, fmt.Errorf("%w: scalar of %d bytes", ErrNoSignature, len(msg.Signature))
	case len(msg.PublicNonce) != len(s.Nonce):
		return s, fmt.Errorf("%w: nonce of %d bytes", ErrNoSignature, len(msg.PublicNonce))
	case msg.UpdatedAt < minDate || msg.UpdatedAt > maxDate:
		return s, fmt.Errorf("%w: date %d", ErrNoSignature, msg.UpdatedAt)
	}
	s = identity.Signature{
		Version:   uint8(msg.Version),
		Nonce:     [32]byte(msg.PublicNonce),
		S:         [32]byte(msg.Signature),
		UpdatedAt: msg.UpdatedAt,
	}
	if err := s.Check(); err != nil {
		return s, fmt.Errorf("%w: %w", ErrNoSignature, err)
	}
	return s, nil
}
