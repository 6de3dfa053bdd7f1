package keep

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/kad/nativewire"
	"github.com/gamelan-p2p/gamelan/kad"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// MaxSource is how many bytes of the names of a peer and of its group are kept.
const MaxSource = 255

// Entries end with a checksum. Numbers are big-endian, times are Unix milliseconds.

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func seal(b []byte) []byte {
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// unseal returns an entry without its checksum, and false if that does not fit.
func unseal(b []byte) ([]byte, bool) {
	n := len(b) - crc32.Size
	if n < 0 || binary.BigEndian.Uint32(b[n:]) != crc32.Checksum(b[:n], castagnoli) {
		return nil, false
	}
	return b[:n], true
}

const timeLen = 8

func appendTime(b []byte, t time.Time) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(t.UnixMilli()))
}

// timeAt reads the time at the beginning of b, which has at least timeLen bytes.
func timeAt(b []byte) time.Time { return time.UnixMilli(int64(binary.BigEndian.Uint64(b))) }

// appendText appends at most MaxSource bytes of a text, with their number in front.
func appendText(b []byte, text string) []byte {
	text = text[:min(len(text), MaxSource)]
	return append(append(b, byte(len(text))), text...)
}

func cutText(b []byte) (text string, rest []byte, ok bool) {
	if len(b) < 1 || len(b) < 1+int(b[0]) {
		return "", nil, false
	}
	n := 1 + int(b[0])
	return string(b[1:n]), b[n:], true
}

// A record consists of its flags, the end of its life, the peer and the group, and the
// record itself.
const (
	flagCached = 1 << 0
	flagOpaque = 1 << 1 // of the record there is the value alone
)

func flagsOf(r *kad.Record) byte {
	if r.Kind == overlay.Opaque {
		return flagOpaque
	}
	return 0
}

func appendRecord(b []byte, r *kad.KeptRecord) []byte {
	flags := flagsOf(r.Record)
	if r.Cached {
		flags |= flagCached
	}
	b = appendTime(append(b, flags), r.Until)
	b = appendText(appendText(b, r.Peer), r.Group)
	return appendBody(b, r.Record)
}

func decodeRecord(key kad.Key, b []byte) (r kad.KeptRecord, ok bool) {
	if len(b) < 1+timeLen || b[0]&^(flagCached|flagOpaque) != 0 {
		return r, false
	}
	flags := b[0]
	r.Cached, r.Until = flags&flagCached != 0, timeAt(b[1:])
	if r.Peer, b, ok = cutText(b[1+timeLen:]); !ok {
		return r, false
	}
	if r.Group, b, ok = cutText(b); !ok {
		return r, false
	}
	r.Record, ok = decodeBody(key, flags, b)
	return r, ok
}

// A publication consists of flags, its life in milliseconds, when it is due, and the record.

func appendOwn(b []byte, o *kad.KeptOwn) []byte {
	b = binary.BigEndian.AppendUint64(append(b, flagsOf(o.Record)), uint64(o.TTL.Milliseconds()))
	return appendBody(appendTime(b, o.Due), o.Record)
}

// maxTTL is the longest life in milliseconds that a [time.Duration] holds.
const maxTTL = uint64(math.MaxInt64 / time.Millisecond)

func decodeOwn(key kad.Key, b []byte) (o kad.KeptOwn, ok bool) {
	if len(b) < 1+8+timeLen || b[0]&^flagOpaque != 0 {
		return o, false
	}
	ttl := binary.BigEndian.Uint64(b[1:])
	if ttl > maxTTL {
		return o, false
	}
	o.TTL = time.Duration(ttl) * time.Millisecond
	o.Due = timeAt(b[9:])
	o.Record, ok = decodeBody(key, b[0], b[9+timeLen:])
	return o, ok
}

func appendBody(b []byte, r *kad.Record) []byte {
	if r.Kind == overlay.Opaque {
		return append(b, r.Value...)
	}
	return nativewire.AppendRecord(b, r)
}

func decodeBody(key kad.Key, flags byte, b []byte) (*kad.Record, bool) {
	if flags&flagOpaque != 0 {
		return &kad.Record{Kind: overlay.Opaque, Key: key, Value: b}, true
	}
	r, err := nativewire.DecodeRecord(b)
	return r, err == nil && r.Key == key && r.Kind != overlay.Opaque
}
