package seedwire

import (
	"encoding/binary"
	"fmt"
	"unicode/utf8"

	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// Decode returns the message that a datagram holds; bytes behind it are ignored. A value
// points into the datagram. Contacts are the first [MaxContacts] of the list; those whose
// address is none of IP and UDP are left out and counted in Skipped. The error is a
// [*overlay.DecodeError]. Decode allocates less than a fixed amount, whatever lengths and
// counts a datagram claims.
func (c Codec) Decode(datagram []byte) (overlay.Message, error) {
	r := reader{rest: datagram, n: c.n}
	var m overlay.Message
	m.ID = overlay.RequestID(r.id(overlay.StageRequestID))
	m.Sender = r.id(overlay.StageSender)
	switch tag := r.tag(); tag {
	case tagPing:
		m.Verb = overlay.Ping
	case tagPong:
		m.Verb = overlay.Pong
	case tagFindNode:
		m.Verb, m.Target = overlay.FindNode, r.id(overlay.StageTarget)
	case tagFindValue:
		m.Verb, m.Target = overlay.FindValue, r.id(overlay.StageTarget)
	case tagStore, tagValue:
		m.Verb = overlay.Store
		if tag == tagValue {
			m.Verb = overlay.Value
		}
		m.Target = r.id(overlay.StageTarget)
		if value := r.bytes(overlay.StageValue); r.cause == nil {
			m.Record = &overlay.Record{Kind: overlay.Opaque, Key: m.Target, Value: value}
		}
	case tagNodes:
		m.Verb = overlay.Nodes
		m.Contacts, m.Skipped = r.contacts()
	default:
		r.fail(overlay.StageTag, fmt.Errorf("%w %d", ErrTag, tag))
	}
	if r.cause != nil {
		return overlay.Message{}, &overlay.DecodeError{Stage: r.stage, Cause: r.cause}
	}
	return m, nil
}

// reader takes the parts of a datagram from its beginning. After the first error it
// returns zero values.
type reader struct {
	rest  []byte
	n     int // length of ids
	stage overlay.Stage
	cause error
}

func (r *reader) fail(s overlay.Stage, cause error) {
	if r.cause == nil {
		r.stage, r.cause = s, cause
	}
	r.rest = nil
}

// take returns the next n bytes.
func (r *reader) take(s overlay.Stage, n int) []byte {
	if r.cause != nil || n > len(r.rest) {
		r.fail(s, ErrTruncated)
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) tag() uint32 {
	if b := r.take(overlay.StageTag, 4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (r *reader) length(s overlay.Stage) uint64 {
	if b := r.take(s, lengthSize); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (r *reader) bytes(s overlay.Stage) []byte {
	n := r.length(s)
	if n > uint64(len(r.rest)) {
		r.fail(s, ErrTruncated)
		return nil
	}
	return r.take(s, int(n))
}

func (r *reader) id(s overlay.Stage) (id overlay.ID) {
	n := r.length(s)
	if r.cause == nil && n != uint64(r.n) {
		r.fail(s, overlay.ErrIDLength)
	}
	copy(id[:], r.take(s, r.n))
	return id
}

// contacts reads a list. It checks all of it, because one id of the wrong length
// invalidates the message.
func (r *reader) contacts() (list []overlay.Contact, skipped int) {
	count := r.length(overlay.StageContacts)
	if count > uint64(len(r.rest)/(2*lengthSize)) {
		r.fail(overlay.StageContacts, ErrTruncated)
		return nil, 0
	}
	for i := range count {
		text := r.bytes(overlay.StageAddress)
		if !utf8.Valid(text) {
			r.fail(overlay.StageAddress, ErrText)
		}
		id := r.id(overlay.StageContacts)
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
			list = make([]overlay.Contact, 0, min(count, MaxContacts))
		}
		list = append(list, overlay.SeedContact(id, a))
	}
	return list, skipped
}
