package reach

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"net/netip"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/protocol/frame"
	"github.com/gamelan-p2p/gamelan/internal/protofield"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// ID is the protocol by which nodes of this library help each other to know whether they can be
// reached. Each request has a substream of its own: one frame there, one frame back.
//
//	message Ask      { oneof is { Observe observe = 1; DialBack dial_back = 2; } }
//	message Observe  {}
//	message DialBack { uint32 port = 1; bytes token = 2; }
//	message Answer   { Code code = 1; bytes ip = 2; uint32 port = 3; uint64 unix = 4; Other other = 5; }
//	message Other    { uint32 age = 1; uint32 features = 2; repeated bytes addresses = 3;
//	                   uint32 version = 4; bytes nonce = 5; bytes s = 6; int64 updated_at = 7; }
//
// Fields 4 and 5 answer Observe alone, and nodes of releases without them skip them. No release
// writes a payload above [MaxBody], which its readers ban for.
const ID protocol.ID = "gamelan/reach/1"

// MaxBody is the size of a frame's payload, in bytes.
const MaxBody = 1024

// TokenLen is the size of a token, in bytes.
const TokenLen = 32

// ErrUndecodable reports a payload that is no request or no answer. It comes in a
// [protocol.Violation].
var ErrUndecodable = errors.New("reach: undecodable message")

const stage = "reach"

// Code is the result of a request.
type Code uint32

// The codes. Unknown ones count as Refused.
const (
	OK        Code = 0
	Refused   Code = 2 // this node is not dialled back
	TooMany   Code = 4 // others are dialled back now
	TooFast   Code = 7 // the same source has asked just now
	Malformed Code = 8 // the request is of a kind that the node does not know
	Failed    Code = 9 // no connection, or no echo
)

// NoAnswer stands for an answer that has not come. No message has it.
const NoAnswer Code = 1 << 31

// String returns the meaning in words.
func (c Code) String() string {
	switch c {
	case OK:
		return "ok"
	case Refused:
		return "refused"
	case TooMany:
		return "too many at once"
	case TooFast:
		return "too soon"
	case Malformed:
		return "unknown request"
	case Failed:
		return "failed"
	}
	return fmt.Sprintf("code %d", uint32(c))
}

// Ask is a request. The zero Ask is of an unknown kind.
type Ask struct {
	// Observe asks from which address the connection comes.
	Observe bool
	// DialBack, if Port is not 0, asks for a connection to this port of that address, and for an
	// echo of the token there.
	Port  uint16
	Token [TokenLen]byte
}

// Answer is the answer to an Ask. Seen is the observed address. It is not valid if there is none, as
// on a connection through a proxy.
type Answer struct {
	Code  Code
	Seen  netip.AddrPort
	Clock int64 // of the answering node, Unix seconds; 0: it does not tell
	Other *Other
}

// Other is a claim of the asker's key, other than that of this connection, by which somebody has
// connected to the answering node, or was reached by it.
type Other struct {
	Age   time.Duration  // since that connection was made; in whole seconds
	Claim identity.Claim // its key is not on the wire
}

// The numbers of the fields.
const (
	askObserve, askDialBack          = 1, 2
	dialBackPort, dialBackToken      = 1, 2
	answerCode, answerIP, answerPort = 1, 2, 3
	answerClock, answerOther         = 4, 5

	otherAge, otherFeatures, otherAddress               = 1, 2, 3
	otherVersion, otherNonce, otherScalar, otherUpdated = 4, 5, 6, 7
)

// AppendAsk appends the frame of a request.
func AppendAsk(dst []byte, a Ask) []byte {
	var body []byte
	switch {
	case a.Observe:
		body = protowire.AppendTag(body, askObserve, protowire.BytesType)
		body = protowire.AppendBytes(body, nil)
	case a.Port != 0:
		var inner []byte
		inner = protowire.AppendTag(inner, dialBackPort, protowire.VarintType)
		inner = protowire.AppendVarint(inner, uint64(a.Port))
		inner = protowire.AppendTag(inner, dialBackToken, protowire.BytesType)
		inner = protowire.AppendBytes(inner, a.Token[:])
		body = protowire.AppendTag(body, askDialBack, protowire.BytesType)
		body = protowire.AppendBytes(body, inner)
	}
	return frame.Append(dst, body)
}

// AppendAnswer appends the frame of an answer. It leaves out an Other for which there is no room.
func AppendAnswer(dst []byte, a Answer) []byte {
	var body []byte
	if a.Code != OK {
		body = protowire.AppendTag(body, answerCode, protowire.VarintType)
		body = protowire.AppendVarint(body, uint64(a.Code))
	}
	if a.Seen.IsValid() {
		body = protowire.AppendTag(body, answerIP, protowire.BytesType)
		body = protowire.AppendBytes(body, a.Seen.Addr().Unmap().AsSlice())
		body = protowire.AppendTag(body, answerPort, protowire.VarintType)
		body = protowire.AppendVarint(body, uint64(a.Seen.Port()))
	}
	if a.Clock > 0 {
		body = protowire.AppendTag(body, answerClock, protowire.VarintType)
		body = protowire.AppendVarint(body, uint64(a.Clock))
	}
	if a.Other != nil {
		if with := appendOther(body, a.Other); len(with) <= MaxBody {
			body = with
		}
	}
	return frame.Append(dst, body)
}

func appendOther(body []byte, o *Other) []byte {
	var inner []byte
	number := func(field protowire.Number, n uint64) {
		inner = protowire.AppendTag(inner, field, protowire.VarintType)
		inner = protowire.AppendVarint(inner, n)
	}
	bytes := func(field protowire.Number, b []byte) {
		inner = protowire.AppendTag(inner, field, protowire.BytesType)
		inner = protowire.AppendBytes(inner, b)
	}
	s := &o.Claim.Signature
	number(otherAge, uint64(max(0, o.Age)/time.Second))
	number(otherFeatures, uint64(o.Claim.Features))
	for _, a := range o.Claim.Addresses {
		bytes(otherAddress, a)
	}
	number(otherVersion, uint64(s.Version))
	bytes(otherNonce, s.Nonce[:])
	bytes(otherScalar, s.S[:])
	number(otherUpdated, uint64(s.UpdatedAt))
	body = protowire.AppendTag(body, answerOther, protowire.BytesType)
	return protowire.AppendBytes(body, inner)
}

// ReadAsk reads a request. An error of the stream is returned as it is; others are a
// [protocol.Violation].
func ReadAsk(r io.Reader) (a Ask, err error) {
	body, err := read(r)
	if err != nil {
		return a, err
	}
	return DecodeAsk(body)
}

// ReadAnswer reads an answer, as ReadAsk does a request.
func ReadAnswer(r io.Reader) (a Answer, err error) {
	body, err := read(r)
	if err != nil {
		return a, err
	}
	return DecodeAnswer(body)
}

func read(r io.Reader) ([]byte, error) {
	frames := frame.NewReader(r, MaxBody)
	defer frames.Release()
	n, err := frames.Next()
	if errors.Is(err, frame.ErrTooLong) {
		return nil, undecodable(err)
	}
	if err != nil {
		return nil, err
	}
	body := make([]byte, n)
	return body, frames.Body(body)
}

// DecodeAsk decodes the payload of a request. Unknown fields are skipped; a request of an unknown
// kind is the zero Ask.
func DecodeAsk(body []byte) (a Ask, err error) {
	err = fields(body, func(f protofield.Field) error {
		switch f.Number {
		case askObserve:
			a = Ask{Observe: true}
		case askDialBack:
			a = Ask{}
			return fields(f.Bytes, func(f protofield.Field) error {
				switch f.Number {
				case dialBackPort:
					if f.Varint == 0 || f.Varint > 1<<16-1 {
						return fmt.Errorf("port %d", f.Varint)
					}
					a.Port = uint16(f.Varint)
				case dialBackToken:
					if len(f.Bytes) != TokenLen {
						return fmt.Errorf("token of %d bytes", len(f.Bytes))
					}
					a.Token = [TokenLen]byte(f.Bytes)
				}
				return nil
			})
		}
		return nil
	})
	if err == nil && !a.Observe && a.Port != 0 && a.Token == [TokenLen]byte{} {
		err = errors.New("no token")
	}
	if err != nil {
		return Ask{}, undecodable(err)
	}
	return a, nil
}

// DecodeAnswer decodes the payload of an answer.
func DecodeAnswer(body []byte) (a Answer, err error) {
	var ip netip.Addr
	var port uint16
	err = fields(body, func(f protofield.Field) error {
		switch f.Number {
		case answerCode:
			a.Code = Code(min(f.Varint, 1<<32-1))
		case answerIP:
			var ok bool
			if ip, ok = netip.AddrFromSlice(f.Bytes); !ok {
				return fmt.Errorf("address of %d bytes", len(f.Bytes))
			}
		case answerPort:
			if f.Varint > 1<<16-1 {
				return fmt.Errorf("port %d", f.Varint)
			}
			port = uint16(f.Varint)
		case answerClock:
			a.Clock = int64(min(f.Varint, math.MaxInt64))
		case answerOther:
			a.Other, err = decodeOther(f.Bytes)
			return err
		}
		return nil
	})
	if err != nil {
		return Answer{}, undecodable(err)
	}
	if ip.IsValid() {
		a.Seen = netip.AddrPortFrom(ip.Unmap(), port)
	}
	return a, nil
}

// maxAddresses is how many addresses the claim of an Other has at most.
const maxAddresses = 16

func decodeOther(body []byte) (*Other, error) {
	o := new(Other)
	c, s := &o.Claim, &o.Claim.Signature
	err := fields(body, func(f protofield.Field) error {
		switch f.Number {
		case otherAge:
			o.Age = time.Duration(min(f.Varint, 1<<31)) * time.Second
		case otherFeatures:
			c.Features = identity.Features(f.Varint)
		case otherAddress:
			if len(c.Addresses) == maxAddresses {
				return fmt.Errorf("more than %d addresses of a claim", maxAddresses)
			}
			c.Addresses = append(c.Addresses, bytes.Clone(f.Bytes))
		case otherVersion:
			s.Version = uint8(f.Varint)
		case otherNonce:
			if len(f.Bytes) != len(s.Nonce) {
				return fmt.Errorf("nonce of %d bytes", len(f.Bytes))
			}
			s.Nonce = [32]byte(f.Bytes)
		case otherScalar:
			if len(f.Bytes) != len(s.S) {
				return fmt.Errorf("scalar of %d bytes", len(f.Bytes))
			}
			s.S = [32]byte(f.Bytes)
		case otherUpdated:
			s.UpdatedAt = int64(f.Varint)
		}
		return nil
	})
	return o, err
}

// fields calls use for each field that is a number or bytes.
func fields(body []byte, use func(protofield.Field) error) error {
	return protofield.Each(body, func(f protofield.Field) error {
		if f.Type != protowire.VarintType && f.Type != protowire.BytesType {
			return nil
		}
		return use(f)
	})
}

func undecodable(err error) error {
	return protocol.Violated(stage, protocol.BanShort, fmt.Errorf("%w: %w", ErrUndecodable, err))
}
