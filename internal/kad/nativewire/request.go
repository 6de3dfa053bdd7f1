package nativewire

import (
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// Fields of a request, and its bodies.
const (
	fieldPing      = 10
	fieldFindNode  = 11
	fieldFindValue = 12
	fieldStore     = 13
	firstBody      = fieldPing
)

// AppendRequest appends the encoded request to dst, without a frame. It fails with
// [ErrVerb] for a message that is no request, and for a STORE without a record; dst is
// then returned as it was.
func AppendRequest(dst []byte, m *overlay.Message) ([]byte, error) {
	if !m.Verb.IsRequest() || m.Verb == overlay.Store && m.Record == nil {
		return dst, ErrVerb
	}
	dst = appendNumber(dst, 1, m.ID.Number())
	dst = appendDuration(dst, 2, m.Timeout, time.Millisecond)
	dst = appendBool(dst, 4, m.ReadOnly)
	switch m.Verb {
	case overlay.Ping:
		return appendMessage(dst, fieldPing, func(b []byte) []byte { return appendNumber(b, 1, m.HaveSeq) }), nil
	case overlay.FindNode:
		return appendMessage(dst, fieldFindNode, func(b []byte) []byte {
			return appendNumber(appendBytes(b, 1, m.Target[:]), 2, uint64(max(0, m.Want)))
		}), nil
	case overlay.FindValue:
		return appendMessage(dst, fieldFindValue, func(b []byte) []byte {
			b = appendNumber(appendBytes(b, 1, m.Target[:]), 2, uint64(max(0, m.Want)))
			return appendNumber(appendNumber(b, 3, m.HaveSeq), 4, m.HaveExpires)
		}), nil
	}
	return appendMessage(dst, fieldStore, func(b []byte) []byte {
		b = appendMessage(b, 1, func(b []byte) []byte { return AppendRecord(b, m.Record) })
		return appendDuration(appendBool(b, 3, m.Cached), 4, m.TTL, time.Second)
	}), nil
}

// DecodeRequest returns the request that b, the inside of a frame, holds. Of several
// bodies the last one counts. The error is an [*overlay.DecodeError]. The request can be
// answered where [StatusOf] has a status for the error: the message then has its id, and
// nothing else. After any other error the bytes are dropped.
func DecodeRequest(b []byte) (overlay.Message, error) {
	m, stage, err := decodeRequest(b)
	if err != nil {
		return overlay.Message{ID: m.ID}, &overlay.DecodeError{Stage: stage, Cause: err}
	}
	return m, nil
}

func decodeRequest(b []byte) (m overlay.Message, stage overlay.Stage, err error) {
	if len(b) > MaxFrame {
		return m, overlay.StageFrame, ErrTooLong
	}
	r := reader{left: maxFields}
	var body field
	unknown := false
	err = r.each(b, func(f field) error {
		switch f.Number {
		case 1:
			m.ID = overlay.RequestNumber(f.Varint)
			return f.wants(protowire.VarintType)
		case 2:
			return f.duration(&m.Timeout, time.Millisecond)
		case 4:
			return f.boolean(&m.ReadOnly)
		case fieldPing, fieldFindNode, fieldFindValue, fieldStore:
			body = f
			return f.wants(protowire.BytesType)
		}
		unknown = unknown || f.Number >= firstBody
		return nil
	})
	switch {
	case err != nil:
		return m, overlay.StageRequest, err
	case body.Number == 0 && unknown:
		return m, overlay.StageRequest, ErrUnknownBody
	case body.Number == 0:
		return m, overlay.StageRequest, ErrNoBody
	}
	stage, err = r.body(body, &m)
	return m, stage, err
}

// body reads the body of a request.
func (r *reader) body(body field, m *overlay.Message) (overlay.Stage, error) {
	switch body.Number {
	case fieldPing:
		m.Verb = overlay.Ping
		return overlay.StageRequest, r.each(body.Bytes, func(f field) error {
			if f.Number == 1 {
				return f.u64(&m.HaveSeq)
			}
			return nil
		})
	case fieldStore:
		m.Verb = overlay.Store
		return r.store(body.Bytes, m)
	}
	m.Verb = overlay.FindNode
	if body.Number == fieldFindValue {
		m.Verb = overlay.FindValue
	}
	hasTarget := false
	err := r.each(body.Bytes, func(f field) error {
		switch {
		case f.Number == 1:
			hasTarget = true
			return f.id(&m.Target)
		case f.Number == 2:
			return f.count(&m.Want)
		case f.Number == 3 && m.Verb == overlay.FindValue:
			return f.u64(&m.HaveSeq)
		case f.Number == 4 && m.Verb == overlay.FindValue:
			return f.u64(&m.HaveExpires)
		}
		return nil
	})
	if err == nil && !hasTarget {
		err = overlay.ErrIDLength
	}
	return overlay.StageTarget, err
}

func (r *reader) store(b []byte, m *overlay.Message) (overlay.Stage, error) {
	err := r.each(b, func(f field) error {
		switch f.Number {
		case 1:
			return r.recordField(f, &m.Record)
		case 3:
			return f.boolean(&m.Cached)
		case 4:
			return f.duration(&m.TTL, time.Second)
		}
		return nil
	})
	if err == nil && m.Record == nil {
		err = ErrNoBody
	}
	if err == nil {
		m.Target = m.Record.Key
	}
	return overlay.StageRecord, err
}
