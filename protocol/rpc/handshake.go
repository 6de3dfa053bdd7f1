package rpc

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// Version is the version of the protocol that every peer knows. Nodes of this library know another one, for each other:
// see [OfferOf] and package internal/protocol/manycalls.
const Version = 0

// maxVersions bounds the list of versions in a handshake; its frame has 1,024
// bytes anyway.
const maxVersions = MaxHandshake

// Reason says why a server rejects a session.
type Reason uint32

// The reasons of spec: comms 9.3. In 1.0.0-rc.5, 3 meant that the protocol is
// not supported; it is treated the same (V 18).
const (
	ReasonUnknown       Reason = 0
	UnsupportedVersion  Reason = 1
	NoServerSessions    Reason = 2
	NoClientSessions    Reason = 3
	ProtocolUnsupported Reason = 4
)

// String returns the reason in words.
func (r Reason) String() string {
	switch r {
	case UnsupportedVersion:
		return "no version in common"
	case NoServerSessions:
		return "no session left"
	case NoClientSessions:
		return "refused"
	case ProtocolUnsupported:
		return "no such service"
	}
	return "no reason given"
}

// RejectedError is a server's refusal of a session. It is never an offence: a busy
// server has no session left for some clients.
type RejectedError struct{ Reason Reason }

// Error returns the reason.
func (e *RejectedError) Error() string {
	s := "rpc: session rejected: " + e.Reason.String()
	if e.Busy() {
		s += "; try again later"
	}
	return s
}

// Busy reports whether the server had no session left: a later attempt may succeed.
func (e *RejectedError) Busy() bool { return e.Reason == NoServerSessions }

// AppendHello appends the first message of a session, from the client. It offers [Version] and further versions below 128.
func AppendHello(dst []byte, further ...byte) []byte {
	return append(append(dst, 0x0a, byte(1+len(further)), Version), further...)
}

// AppendAccepted appends a server's acceptance, of [Version].
func AppendAccepted(dst []byte) []byte { return AppendChosen(dst, Version) }

// AppendChosen appends a server's acceptance of a version below 128.
func AppendChosen(dst []byte, version byte) []byte { return append(dst, 0x08, version) }

// AppendRejected appends a server's refusal.
func AppendRejected(dst []byte, r Reason) []byte {
	return protowire.AppendVarint(append(dst, 0x10, 0x01, 0x18), uint64(r))
}

// DecodeHello decodes a client's first message and reports whether it offers
// [Version]. The error is [ErrUndecodable].
func DecodeHello(b []byte) (supported bool, err error) { return OfferOf(b, Version) }

// OfferOf decodes a client's first message and reports whether it offers a version. The error is [ErrUndecodable].
func OfferOf(b []byte, version uint32) (supported bool, err error) {
	n := 0
	offer := func(v uint64) error {
		if n++; n > maxVersions {
			return fmt.Errorf("%w: more than %d versions", ErrUndecodable, maxVersions)
		}
		supported = supported || uint32(v) == version
		return nil
	}
	err = fields(b, func(num protowire.Number, typ protowire.Type, v uint64, bytes []byte) error {
		switch {
		case num != 1:
			return nil
		case typ == protowire.VarintType:
			return offer(v)
		case typ != protowire.BytesType:
			return errWireType
		}
		for len(bytes) > 0 {
			v, size := protowire.ConsumeVarint(bytes)
			if size < 0 {
				return protowire.ParseError(size)
			}
			bytes = bytes[size:]
			if err := offer(v); err != nil {
				return err
			}
		}
		return nil
	})
	return supported, err
}

// DecodeReply decodes a server's answer. It returns nil for an acceptance of [Version], a
// [*RejectedError] for a refusal, and [ErrUndecodable] or [ErrVersion] for anything
// else.
func DecodeReply(b []byte) error {
	_, err := DecodeChoice(b, Version)
	return err
}

// DecodeChoice is [DecodeReply] for a client that has offered all versions up to most. It returns the version that the
// server has chosen.
func DecodeChoice(b []byte, most uint32) (version uint32, err error) {
	var accepted, rejected bool
	var reason uint32
	err = fields(b, func(num protowire.Number, typ protowire.Type, v uint64, _ []byte) error {
		if num < 1 || num > 3 {
			return nil
		}
		if typ != protowire.VarintType {
			return errWireType
		}
		switch num { // the last member of a oneof counts
		case 1:
			accepted, rejected, version = true, false, uint32(v)
		case 2:
			accepted, rejected = false, true
		case 3:
			reason = uint32(v)
		}
		return nil
	})
	switch {
	case err != nil:
		return 0, err
	case accepted && version > most:
		return 0, fmt.Errorf("%w: %d was not offered", ErrVersion, version)
	case accepted:
		return version, nil
	case !rejected || reason > uint32(ProtocolUnsupported):
		return 0, &RejectedError{ReasonUnknown}
	}
	return 0, &RejectedError{Reason(reason)}
}
