package wire

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// ErrPing reports bytes that are not an encoded ping.
var ErrPing = errors.New("dht: undecodable ping")

// ErrPingKind reports a ping of a kind that is neither ping nor pong. It deserves no
// ban: a later release may define more kinds.
var ErrPingKind = errors.New("dht: neither ping nor pong")

// Ping is a ping or its answer. Nodes of the network add fields of their own, which
// are skipped; our pings have none (spec: dht 12.4).
type Ping struct {
	Pong  bool
	Nonce uint64 // a pong repeats the ping's
}

// Append appends the encoded ping.
func (p Ping) Append(dst []byte) []byte {
	if p.Pong {
		dst = appendVarint(dst, 1, 1)
	}
	return appendVarint(dst, 2, p.Nonce)
}

var pingFields = schema{1: protowire.VarintType, 2: protowire.VarintType, 3: protowire.BytesType}

// DecodePing decodes a ping. The error is [ErrPing] or [ErrPingKind].
func DecodePing(b []byte) (p Ping, err error) {
	var kind uint64
	left := budget(MaxItems)
	err = pingFields.read(b, fieldBudget(fieldsOfAnnouncement), func(f field) error {
		switch f.number {
		case 1:
			kind = f.varint
		case 2:
			p.Nonce = f.varint
		default:
			return left.spend()
		}
		return nil
	})
	switch {
	case err != nil:
		return p, fmt.Errorf("%w: %w", ErrPing, err)
	case kind > 1:
		return p, fmt.Errorf("%w: kind %d", ErrPingKind, kind)
	}
	p.Pong = kind == 1
	return p, nil
}
