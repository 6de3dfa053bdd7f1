package nativewire

import (
	"errors"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// AppendResponse appends the encoded response to dst, without a frame. Contacts without a
// claim, and those beyond [MaxContacts], are left out. It fails with [ErrVerb] for a
// message that is no [overlay.Reply], and with [ErrTooLong] if the response is longer than
// [MaxFrame]; dst is then returned as it was.
func AppendResponse(dst []byte, m *overlay.Message) ([]byte, error) {
	if m.Verb != overlay.Reply {
		return dst, ErrVerb
	}
	b := appendNumber(dst, 1, m.ID.Number())
	b = appendNumber(b, 2, uint64(m.Status))
	b = appendDuration(b, 3, m.RetryAfter, time.Millisecond)
	b = appendBytes(b, 4, []byte(cut(m.Detail)))
	for i := range m.Contacts[:min(len(m.Contacts), MaxContacts)] {
		if c := m.Contacts[i].Claim; c != nil {
			b = appendMessage(b, 5, func(b []byte) []byte { return AppendNode(b, c) })
		}
	}
	if m.Record != nil {
		b = appendMessage(b, 6, func(b []byte) []byte { return AppendRecord(b, m.Record) })
	}
	b = appendDuration(b, 8, m.Granted, time.Second)
	if m.Self != nil && m.Self.Claim != nil {
		b = appendMessage(b, 9, func(b []byte) []byte { return AppendNode(b, m.Self.Claim) })
	}
	if len(b)-len(dst) > MaxFrame {
		return dst, ErrTooLong
	}
	return b, nil
}

// DecodeResponse returns the response that b, the inside of a frame, holds. Of its nodes
// the first [MaxContacts] are read; those that are no contacts are left out and counted in
// Skipped. The signatures of claims are not verified: [overlay.Contact.Verify] does that. The
// error is an [*overlay.DecodeError].
func DecodeResponse(b []byte) (overlay.Message, error) {
	m, err := decodeResponse(b)
	if err != nil {
		return overlay.Message{}, &overlay.DecodeError{Stage: overlay.StageResponse, Cause: err}
	}
	return m, nil
}

func decodeResponse(b []byte) (overlay.Message, error) {
	m := overlay.Message{Verb: overlay.Reply}
	if len(b) > MaxFrame {
		return m, ErrTooLong
	}
	r := reader{left: maxFields}
	nodes := 0
	err := r.each(b, func(f field) error {
		switch f.Number {
		case 1:
			m.ID = overlay.RequestNumber(f.Varint)
			return f.wants(protowire.VarintType)
		case 2:
			return f.u32((*uint32)(&m.Status))
		case 3:
			return f.duration(&m.RetryAfter, time.Millisecond)
		case 4:
			m.Detail = cut(string(f.Bytes[:min(len(f.Bytes), MaxDetail)]))
			return f.wants(protowire.BytesType)
		case 5:
			if nodes++; nodes > MaxContacts {
				return f.wants(protowire.BytesType)
			}
			return r.listed(f, &m)
		case 6:
			return r.recordField(f, &m.Record)
		case 8:
			return f.duration(&m.Granted, time.Second)
		case 9:
			self, err := r.nodeField(f)
			switch {
			case err == nil:
				m.Self = &self
			case errors.Is(err, errNode):
				m.Skipped++
				return nil
			}
			return err
		}
		return nil
	})
	return m, err
}

// listed adds a node to the contacts of m.
func (r *reader) listed(f field, m *overlay.Message) error {
	c, err := r.nodeField(f)
	switch {
	case err == nil:
		m.Contacts = append(m.Contacts, c)
	case errors.Is(err, errNode):
		m.Skipped++
		return nil
	}
	return err
}

// cut returns the beginning of a text, without bytes that are not UTF-8.
func cut(s string) string { return strings.ToValidUTF8(s[:min(len(s), MaxDetail)], "") }

// StatusOf returns the status that answers a request with this error of [DecodeRequest],
// and false for an error after which the bytes are dropped.
func StatusOf(err error) (overlay.Status, bool) {
	var large *overlay.ValueTooLargeError
	switch {
	case errors.Is(err, ErrUnknownBody):
		return overlay.Unsupported, true
	case errors.Is(err, ErrNoBody):
		return overlay.BadRequest, true
	case errors.As(err, &large):
		return overlay.TooLarge, true
	}
	return overlay.BadRequest, false
}
