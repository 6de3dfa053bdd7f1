// Package more implements gamelan/more/1, by which nodes of this library tell each other all
// protocols that they accept (spec: V 41). Identity messages have room for 20.
//
// A node opens a substream, writes one frame of [frame] with the list, and ends its half. Nothing
// is answered. The list is whole: it replaces the one of the identity message, and each list before.
//
//	message Listed { repeated bytes protocols = 1; }
package more

import (
	"errors"
	"fmt"
	"io"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gamelan-p2p/gamelan/internal/protocol/frame"
	"github.com/gamelan-p2p/gamelan/internal/protofield"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// ID is the protocol. It is in no identity message: a node opens it only to nodes of this library.
const ID protocol.ID = "gamelan/more/1"

// Limits of a list. A longer one is an offence.
const (
	MaxProtocols = 128
	// MaxBody is the size of a frame's payload, in bytes.
	MaxBody = MaxProtocols * (protocol.MaxID + 2)
)

// stage names the exchange in violations.
const stage = "list of protocols"

var (
	// ErrUndecodable reports a payload that is no list.
	ErrUndecodable = errors.New("more: undecodable list")
	// ErrTooMany reports more protocols, or a longer one, than the limit.
	ErrTooMany = errors.New("more: over the limit")
)

const field = 1

// Append appends the frame of a list. The list has at most [MaxProtocols] valid ids.
func Append(dst []byte, list []protocol.ID) []byte {
	var body []byte
	for _, id := range list {
		body = protowire.AppendTag(body, field, protowire.BytesType)
		body = protowire.AppendString(body, string(id))
	}
	return frame.Append(dst, body)
}

// Read reads one frame and decodes its list. An error of the stream is returned as it is; others
// are a [protocol.Violation].
func Read(r io.Reader) ([]protocol.ID, error) {
	frames := frame.NewReader(r, MaxBody)
	defer frames.Release()
	n, err := frames.Next()
	if err != nil {
		if errors.Is(err, frame.ErrTooLong) {
			return nil, violation(fmt.Errorf("%w: %w", ErrTooMany, err))
		}
		return nil, err
	}
	body := make([]byte, n)
	if err := frames.Body(body); err != nil {
		return nil, err
	}
	return Decode(body)
}

// Decode decodes the payload of a frame. Fields that it does not know are skipped. Ids may hold
// any bytes: see [protocol.Printable]. An error is a [protocol.Violation].
func Decode(body []byte) (list []protocol.ID, err error) {
	for len(body) > 0 {
		f, rest, err := protofield.Next(body)
		switch body = rest; {
		case err != nil:
			return nil, violation(fmt.Errorf("%w: %w", ErrUndecodable, err))
		case f.Number != field || f.Type != protowire.BytesType:
			continue
		case len(f.Bytes) > protocol.MaxID:
			return nil, violation(fmt.Errorf("%w: id of %d bytes, at most %d", ErrTooMany, len(f.Bytes), protocol.MaxID))
		case len(list) == MaxProtocols:
			return nil, violation(fmt.Errorf("%w: more than %d protocols", ErrTooMany, MaxProtocols))
		}
		list = append(list, protocol.ID(f.Bytes))
	}
	return list, nil
}

func violation(err error) error { return protocol.Violated(stage, protocol.BanShort, err) }
