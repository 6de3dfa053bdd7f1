package nativewire

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// AppendRecord appends the encoded record to dst. It is the form in which records are
// stored as well.
func AppendRecord(dst []byte, r *overlay.Record) []byte {
	dst = appendNumber(dst, 1, uint64(r.Kind))
	dst = appendBytes(dst, 2, r.Key[:])
	dst = appendBytes(dst, 3, r.Value)
	dst = appendNumber(dst, 4, uint64(r.Alg))
	dst = appendBytes(dst, 5, r.PublicKey)
	dst = appendBytes(dst, 6, r.Salt)
	dst = appendNumber(dst, 7, r.Seq)
	dst = appendNumber(dst, 8, r.Expires)
	dst = appendNumber(dst, 9, uint64(r.Flags))
	return appendBytes(dst, 10, r.Signature)
}

// DecodeRecord returns the record that b holds, unchecked. It points into b. The error is
// an [*overlay.DecodeError]; its cause is an [*overlay.ValueTooLargeError] for more than
// [MaxRecord] bytes, and [overlay.ErrIDLength] if there is no key of 32 bytes. A kind,
// algorithm or flags of more than 8 bits become 255.
func DecodeRecord(b []byte) (*overlay.Record, error) {
	r := reader{left: maxFields}
	rec, err := r.record(b)
	if err != nil {
		return nil, &overlay.DecodeError{Stage: overlay.StageRecord, Cause: err}
	}
	return rec, nil
}

func (r *reader) record(b []byte) (*overlay.Record, error) {
	if len(b) > MaxRecord {
		return nil, &overlay.ValueTooLargeError{Size: len(b), Max: MaxRecord, Gateway: "an encoded record"}
	}
	rec, hasKey := &overlay.Record{}, false
	err := r.each(b, func(f field) error {
		switch f.Number {
		case 1:
			return f.u8((*uint8)(&rec.Kind))
		case 2:
			hasKey = true
			return f.id(&rec.Key)
		case 3:
			return f.raw(&rec.Value)
		case 4:
			return f.u8(&rec.Alg)
		case 5:
			return f.raw(&rec.PublicKey)
		case 6:
			return f.raw(&rec.Salt)
		case 7:
			return f.u64(&rec.Seq)
		case 8:
			return f.u64(&rec.Expires)
		case 9:
			return f.u8(&rec.Flags)
		case 10:
			return f.raw(&rec.Signature)
		}
		return nil
	})
	if err == nil && !hasKey {
		err = overlay.ErrIDLength
	}
	if err != nil {
		return nil, err
	}
	return rec, nil
}

// recordField reads a field that holds a record.
func (r *reader) recordField(f field, to **overlay.Record) (err error) {
	if err = f.wants(protowire.BytesType); err == nil {
		*to, err = r.record(f.Bytes)
	}
	return err
}
