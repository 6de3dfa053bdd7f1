package onecall

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gamelan-p2p/gamelan/protocol/rpc"
)

// Version is the version of the protocol that every peer knows. Nodes of this library know another one, for each other:
// see [OfferOf] and package internal/protocol/manycalls.
const Version = 0

// maxVersions bounds the list of versions in a handshake; its frame has 1,024
// bytes anyway.
const maxVersions = MaxHandshake

// AppendHello appends the first message of a session, from the client. It offers [Version] and further versions below 128.
func AppendHello(dst []byte, further ...byte) []byte {
	return append(append(dst, 0x0a, byte(1+len(further)), Version), further...)
}

// AppendAccepted appends a server's acceptance, of [Version].
func AppendAccepted(dst []byte) []byte { return AppendChosen(dst, Version) }

// AppendChosen appends a server's acceptance of a version below 128.
func AppendChosen(dst []byte, version byte) []byte { return append(dst, 0x08, version) }

// AppendRejected appends a server's refusal.
func AppendRejected(dst []byte, r rpc.Reason) []byte {
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
// *rpc.RejectedError for a refusal, and [ErrUndecodable] or [ErrVersion] for anything
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
	case !rejected || reason > uint32(rpc.ProtocolUnsupported):
		return 0, &rpc.RejectedError{Reason: rpc.ReasonUnknown}
	}
	return 0, &rpc.RejectedError{Reason: rpc.Reason(reason)}
}
