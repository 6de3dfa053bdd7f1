package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/dht/saf"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/internal/share"
)

// Schema is the version of the entries that this package writes. A store without any gets
// this version. A store with a newer version is refused and not changed.
//
//   - 1: heads, envelopes and confirmations.
//   - 2: visits, and in heads where the source was connected from. Heads of schema 1 stay.
const Schema = 2

// ErrNewer reports entries of a newer release.
var ErrNewer = errors.New("saf/store: written by a newer release; run that one, or start with another data directory")

// A key consists of the prefix and the kind of the entry. The key of a message ends with
// its number, big-endian. Envelopes are bulk entries, whose keys have one byte more in front.
const (
	keyPrefix    = 's' // other parts of the node have different prefixes
	keyEnvelope  = 'b'
	keyConfirmed = 'c'
	keyHead      = 'h'
	keyMeta      = 'm'
	keyVisit     = 'v' // ends with the id of the peer
	keyLen       = 2 + 8
)

var metaKey = []byte{keyPrefix, keyMeta}

func messageKey(kind byte, seq uint64) []byte {
	if kind == keyEnvelope {
		return binary.BigEndian.AppendUint64([]byte{kv.Bulk, keyPrefix, kind}, seq)
	}
	return binary.BigEndian.AppendUint64([]byte{keyPrefix, kind}, seq)
}

// seqOf returns the number in the key of a message.
func seqOf(key []byte) (seq uint64, ok bool) {
	if len(key) != keyLen {
		return 0, false
	}
	seq = binary.BigEndian.Uint64(key[2:])
	return seq, seq > 0
}

// checkMeta returns the schema of a store.
func checkMeta(value []byte) (schema int, err error) {
	switch {
	case len(value) == 0 || value[0] == 0:
		return 0, fmt.Errorf("open the stored messages: %w: no schema version", kv.ErrCorrupt)
	case value[0] > Schema:
		return int(value[0]), fmt.Errorf("%w (schema %d, this one knows %d)", ErrNewer, value[0], Schema)
	case len(value) != 1:
		return 0, fmt.Errorf("open the stored messages: %w: a schema version of %d bytes", kv.ErrCorrupt, len(value))
	}
	return int(value[0]), nil
}

// A head consists of the hash, the ids of destination and source, the time of storing, the
// size, and the priority. From schema 2 on there follow where the source was connected from, and
// whether it goes last. Numbers are big-endian.
const (
	idLen      = len(saf.Record{}.Destination)
	hashLen    = len(saf.Record{}.Hash)
	headLenOld = hashLen + 2*idLen + 8 + 4 + 1
	headLen    = headLenOld + 8 + 1
)

func appendHead(b []byte, r *saf.Record) []byte {
	b = append(b, r.Hash[:]...)
	b = append(b, r.Destination[:]...)
	b = append(b, r.Source[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(r.StoredAt))
	b = binary.BigEndian.AppendUint32(b, uint32(r.Size))
	b = append(b, byte(r.Priority))
	b = binary.BigEndian.AppendUint64(b, uint64(r.From))
	if r.Last {
		return append(b, 1)
	}
	return append(b, 0)
}

// decodeHead reads a head of any schema. An old one has no source: it counts for the peer.
func decodeHead(b []byte) (r saf.Record, ok bool) {
	if len(b) != headLen && len(b) != headLenOld {
		return r, false
	}
	copy(r.Hash[:], b)
	b = b[hashLen:]
	copy(r.Destination[:], b)
	copy(r.Source[:], b[idLen:])
	b = b[2*idLen:]
	r.StoredAt = int64(binary.BigEndian.Uint64(b))
	r.Size = int(binary.BigEndian.Uint32(b[8:]))
	r.Priority = saf.Priority(b[12])
	if b = b[13:]; len(b) > 0 {
		if b[8] > 1 {
			return r, false
		}
		r.From, r.Last = share.Source(binary.BigEndian.Uint64(b)), b[8] == 1
	}
	return r, r.Priority == saf.Low || r.Priority == saf.High
}

// decodeConfirmed returns how often a message was confirmed.
func decodeConfirmed(value []byte) (sent uint8, ok bool) {
	if len(value) != 1 || value[0] == 0 {
		return 0, false
	}
	return value[0], true
}

func visitKey(peer identity.NodeID) []byte { return append([]byte{keyPrefix, keyVisit}, peer[:]...) }

// A visit consists of the source, the time, and flags.
const visitLen = 8 + 8 + 1

const (
	visitClient = 1 << iota
	visitDialled
	visitServed
)

func appendVisit(b []byte, v *saf.Visit) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(v.Source))
	b = binary.BigEndian.AppendUint64(b, uint64(v.At.Unix()))
	var flags byte
	for flag, is := range map[byte]bool{visitClient: v.Client, visitDialled: v.Dialled, visitServed: v.Served} {
		if is {
			flags |= flag
		}
	}
	return append(b, flags)
}

func decodeVisit(key, b []byte) (v saf.Visit, ok bool) {
	if len(key) != 2+idLen || len(b) != visitLen {
		return v, false
	}
	copy(v.Peer[:], key[2:])
	v.Source = share.Source(binary.BigEndian.Uint64(b))
	v.At = time.Unix(int64(binary.BigEndian.Uint64(b[8:])), 0)
	flags := b[16]
	v.Client, v.Dialled, v.Served = flags&visitClient != 0, flags&visitDialled != 0, flags&visitServed != 0
	return v, true
}
