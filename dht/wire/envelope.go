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

// Envelope is a message as it travels: header and body. The body is that of
// [AppendBody] when the message is clear, else ciphertext with its tag.
type Envelope struct {
	Header Header
	Body   []byte
}

// What an envelope of ours needs besides its body: its header, with a signature,
// and what stands in front of a field.
const (
	maxHeader = 256
	maxPrefix = 8
)

// Append appends the encoded envelope. That of a decoded one has the received
// body as it was, and the header in its canonical form, for which signatures
// still hold (spec: dht 2.4).
func (e *Envelope) Append(dst []byte) []byte {
	var space [maxHeader]byte
	dst = slices.Grow(dst, maxHeader+maxPrefix+len(e.Body))
	dst = appendBytes(dst, fieldHeader, e.Header.Append(space[:0]))
	return appendBytes(dst, fieldBody, e.Body)
}

// DecodeEnvelope returns the envelope that b is. Its slices point into b.
// Fields may come in any order, unknown ones are skipped, and a header may come in
// parts: together at most [MaxFields] and, in headers, [MaxHeaderBytes]. What it
// refuses is an error of the first group of this package, worth no ban.
func DecodeEnvelope(b []byte) (Envelope, error) {
	raw, err := decodeRaw(b)
	if err != nil {
		return Envelope{}, err
	}
	return raw.judge()
}

// rawEnvelope is a decoded envelope whose header is not judged yet.
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

func (e *rawEnvelope) judge() (Envelope, error) {
	if !e.hasHeader {
		return Envelope{}, ErrNoHeader
	}
	h, err := e.header.judge()
	if err != nil {
		return Envelope{}, err
	}
	return Envelope{Header: h, Body: e.body}, nil
}
