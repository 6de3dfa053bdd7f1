package seed

import (
	"encoding/binary"
	"fmt"
	"unicode/utf8"

	"github.com/gamelan-p2p/gamelan/dht/kad"
)

// Decode returns the message that a datagram holds; bytes behind it are ignored. A value
// points into the datagram. Contacts are the first [MaxContacts] of the list; those whose
// address is none of IP and UDP are left out and counted in Skipped. The error is a
// [*kad.DecodeError]. Decode allocates less than a fixed amount, whatever lengths and
// counts a datagram claims.
func (c Codec) Decode(datagram []byte) (kad.Message, error) {
	r := reader{rest: datagram, n: c.n}
	var m kad.Message
	m.ID = kad.RequestID(r.id(kad.StageRequestID))
	m.Sender = r.id(kad.StageSender)
	switch tag := r.tag(); tag {
	case tagPing:
		m.Verb = kad.Ping
	case tagPong:
		m.Verb = kad.Pong
	case tagFindNode:
		m.Verb, m.Target = kad.FindNode, r.id(kad.StageTarget)
	case tagFindValue:
		m.Verb, m.Target = kad.FindValue, r.id(kad.StageTarget)
	case tagStore, tagValue:
		m.Verb = kad.Store
		if tag == tagValue {
			m.Verb = kad.Value
		}
		m.Target = r.id(kad.StageTarget)
		if value := r.bytes(kad.StageValue); r.cause == nil {
			m.Record = &kad.Record{Kind: kad.Opaque, Key: m.Target, Value: value}
		}
	case tagNodes:
		m.Verb = kad.Nodes
		m.Contacts, m.Skipped = r.contacts()
	default:
		r.fail(kad.StageTag, fmt.Errorf("%w %d", ErrTag, tag))
	}
	if r.cause != nil {
		return kad.Message{}, &kad.DecodeError{Stage: r.stage, Cause: r.cause}
	}
	return m, nil
}

// reader takes the parts of a datagram from its beginning. After the first error it
// returns zero values.
type reader struct {
	rest  []byte
	n     int // length of ids
	stage kad.Stage
	cause error
}

func (r *reader) fail(s kad.Stage, cause error) {
	if r.cause == nil {
		r.stage, r.cause = s, cause
	}
	r.rest = nil
}

// take returns the next n bytes.
func (r *reader) take(s kad.Stage, n int) []byte {
	if r.cause != nil || n > len(r.rest) {
		r.fail(s, ErrTruncated)
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) tag() uint32 {
	if b := r.take(kad.StageTag, 4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (r *reader) length(s kad.Stage) uint64 {
	if b := r.take(s, lengthSize); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (r *reader) bytes(s kad.Stage) []byte {
	n := r.length(s)
	if n > uint64(len(r.rest)) {
		r.fail(s, ErrTruncated)
		return nil
	}
	return r.take(s, int(n))
}

func (r *reader) id(s kad.Stage) (id kad.ID) {
	n := r.length(s)
	if r.cause == nil && n != uint64(r.n) {
		r.fail(s, kad.ErrIDLength)
	}
	copy(id[:], r.take(s, r.n))
	return id
}

// contacts reads a list. It checks all of it, because one id of the wrong length
// invalidates the message.
func (r *reader) contacts() (list []kad.Contact, skipped int) {
	count := r.length(kad.StageContacts)
	if count > uint64(len(r.rest)/(2*lengthSize)) {
		r.fail(kad.StageContacts, ErrTruncated)
		return nil, 0
	}
	for i := range count {
		text := r.bytes(kad.StageAddress)
		if !utf8.Valid(text) {
			r.fail(kad.StageAddress, ErrText)
		}
		id := r.id(kad.StageContacts)
		if r.cause != nil {
			return nil, 0
		}
		if i >= MaxContacts {
			continue
		}
		a, ok := listed(text)
		if !ok {
			skipped++
			continue
		}
		if list == nil {
			list = make([]kad.Contact, 0, min(count, MaxContacts))
		}
		list = append(list, kad.SeedContact(id, a))
	}
	return list, skipped
}
