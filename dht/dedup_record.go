package dht

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/gamelan-p2p/gamelan/dht/wire"
)

// ErrDedupRecord reports bytes that are not an encoded [DedupRecord].
var ErrDedupRecord = errors.New("dht: bad dedup record")

// An encoded record is, big-endian: the version, the peer of the last copy, the hits,
// and the times of the first and of the last copy. A time is nanoseconds since 1970, 0
// for none. The hash is the record's key and not part of it.
const (
	dedupVersion = 1

	atFrom    = 1
	atHits    = atFrom + len(DedupRecord{}.From)
	atFirst   = atHits + 4
	atLastHit = atFirst + 8

	// DedupRecordLen is the length of an encoded record in bytes.
	DedupRecordLen = atLastHit + 8
)

// Append appends the encoded record, without its hash. A time before 1970 is encoded as
// none, a time after 2262 as the last possible one.
func (r *DedupRecord) Append(dst []byte) []byte {
	dst = append(dst, dedupVersion)
	dst = append(dst, r.From[:]...)
	dst = binary.BigEndian.AppendUint32(dst, r.Hits)
	dst = binary.BigEndian.AppendUint64(dst, nanoseconds(r.First))
	return binary.BigEndian.AppendUint64(dst, nanoseconds(r.LastHit))
}

// DecodeDedupRecord returns the record of a hash that [DedupRecord.Append] encoded. The
// error is [ErrDedupRecord]. The record does not refer to b.
func DecodeDedupRecord(h wire.Hash, b []byte) (DedupRecord, error) {
	switch {
	case len(b) != DedupRecordLen:
		return DedupRecord{}, fmt.Errorf("%w: %d bytes, want %d", ErrDedupRecord, len(b), DedupRecordLen)
	case b[0] != dedupVersion:
		return DedupRecord{}, fmt.Errorf("%w: version %d, want %d", ErrDedupRecord, b[0], dedupVersion)
	}
	r := DedupRecord{Hash: h, Hits: binary.BigEndian.Uint32(b[atHits:])}
	copy(r.From[:], b[atFrom:])
	first, last := binary.BigEndian.Uint64(b[atFirst:]), binary.BigEndian.Uint64(b[atLastHit:])
	switch {
	case r.Hits == 0:
		return DedupRecord{}, fmt.Errorf("%w: it was never seen", ErrDedupRecord)
	case first > math.MaxInt64, last > math.MaxInt64:
		return DedupRecord{}, fmt.Errorf("%w: a time after 2262", ErrDedupRecord)
	}
	r.First, r.LastHit = momentOf(first), momentOf(last)
	return r, nil
}

// lastMoment is the last time that fits into an int64 of nanoseconds.
var lastMoment = time.Unix(0, math.MaxInt64)

func nanoseconds(t time.Time) uint64 {
	switch {
	case t.Unix() < 0:
		return 0
	case t.After(lastMoment):
		return math.MaxInt64
	}
	return uint64(t.UnixNano())
}

func momentOf(n uint64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(n)).UTC()
}
