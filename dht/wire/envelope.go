package wire

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

const (
	fieldHeader = 1
	fieldBody   = 2
)

// Envelope is a message: header and body. The body of a clear message is encoded by
// [AppendBody]; that of an encrypted message is ciphertext with its tag.
type Envelope struct {
	Header Header
	Body   []byte
}

// Upper bounds, in bytes, of a signed header that we write, and of the tag and length
// in front of a field.
const (
	maxHeader = 256
	maxPrefix = 8
)

// Append appends the encoded envelope. For a decoded envelope it writes the body as it
// was received, and the header in canonical form, for which the signature still verifies
// (spec: dht 2.4).
func (e *Envelope) Append(dst []byte) []byte {
	var space [maxHeader]byte
	dst = slices.Grow(dst, maxHeader+maxPrefix+len(e.Body))
	dst = appendBytes(dst, fieldHeader, e.Header.Append(space[:0]))
	return appendBytes(dst, fieldBody, e.Body)
}

// DecodeEnvelope decodes an envelope, whose slices point into b. Fields may come in any
// order, unknown fields are skipped, and a header may come in several parts. There may
// be [MaxFields] fields and [MaxHeaderBytes] of header. The error is [ErrEnvelope], or
// one of [ErrNoHeader], [ErrDestination], [ErrEphemeralKey], [ErrVersion], [ErrType] and
// [ErrFlags].
func DecodeEnvelope(b []byte) (Envelope, error) {
	raw, err := decodeRaw(b)
	if err != nil {
		return Envelope{}, err
	}
	return raw.check()
}

// rawEnvelope is a decoded envelope whose header is not checked yet.
type rawEnvelope struct {
	header    rawHeader
	hasHeader bool
	body      []byte
}

var envelopeFields = schema{fieldHeader: protowire.BytesType, fieldBody: protowire.BytesType}

func decodeRaw(b []byte) (e rawEnvelope, err error) {
	if len(b) == 0 {
		return e, fmt.Errorf("%w: empty", ErrEnvelope)
	}
	left, headers := fieldBudget(MaxFields), 0
	err = envelopeFields.read(b, left, func(f field) error {
		if f.number == fieldBody {
			e.body = f.bytes
			return nil
		}
		e.hasHeader = true
		if headers += len(f.bytes); headers > MaxHeaderBytes {
			return fmt.Errorf("header: %w", errLongHeader)
		}
		if err := e.header.merge(f.bytes, left); err != nil {
			return fmt.Errorf("header: %w", err)
		}
		return nil
	})
	if err != nil {
		return e, fmt.Errorf("%w: %w", ErrEnvelope, err)
	}
	return e, nil
}

func (e *rawEnvelope) check() (Envelope, error) {
	if !e.hasHeader {
		return Envelope{}, ErrNoHeader
	}
	h, err := e.header.check()
	if err != nil {
		return Envelope{}, err
	}
	return Envelope{Header: h, Body: e.body}, nil
}
