package inboxpart

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
)

// A record consists of the flags, the time, the peer, the fields that the flags announce,
// and the body. Numbers are big-endian.
const (
	flagDHT = 1 << iota
	flagFrom
	flagEncrypted
	flagDestination
	flagStored
	flagExpires
	flagsKnown = 1<<iota - 1
)

const fixedLen = 1 + 8 + identity.NodeIDLen

var errRecord = errors.New("inbox: a record that cannot be read")

// appendRecord appends the record of m.
func appendRecord(b []byte, m *actors.KeptMessage) []byte {
	var flags byte
	if !m.From.IsZero() {
		flags |= flagFrom
	}
	if m.DHT != nil {
		flags |= flagDHT
		if m.DHT.Encrypted {
			flags |= flagEncrypted
		}
		if m.DHT.Stored {
			flags |= flagStored
		}
		if m.DHT.Expires != 0 {
			flags |= flagExpires
		}
		if !m.DHT.Destination.IsZero() {
			flags |= flagDestination
		}
	}
	b = append(b, flags)
	b = binary.BigEndian.AppendUint64(b, uint64(m.At.UnixNano()))
	b = append(b, m.Peer[:]...)
	if flags&flagFrom != 0 {
		b = append(b, m.From[:]...)
	}
	if d := m.DHT; d != nil {
		b = binary.BigEndian.AppendUint32(b, uint32(d.Type))
		b = binary.BigEndian.AppendUint64(b, d.Tag)
		b = binary.BigEndian.AppendUint32(b, d.Copies)
		if d.Expires != 0 {
			b = binary.BigEndian.AppendUint64(b, d.Expires)
		}
		if !d.Destination.IsZero() {
			b = append(b, d.Destination[:]...)
		}
	}
	return append(b, m.Body...)
}

// recordHead returns the arrival time of a record's message, in nanoseconds since 1970, and
// its sources if it came over the DHT. It returns false if b is no record.
func recordHead(b []byte) (at int64, over *Over, ok bool) {
	m, err := decodeRecord(b)
	if err != nil {
		return 0, nil, false
	}
	return int64(binary.BigEndian.Uint64(b[1:])), sourcesOf(&m), true
}

// sourcesOf returns the sources of a message over the DHT, nil for a plain one.
func sourcesOf(m *actors.KeptMessage) *Over {
	if m.DHT == nil {
		return nil
	}
	return &Over{m.Peer, m.From}
}

// decodeRecord decodes a record. The message's body is a part of b.
func decodeRecord(b []byte) (m actors.KeptMessage, err error) {
	if len(b) < fixedLen || b[0]&^flagsKnown != 0 {
		return m, errRecord
	}
	flags := b[0]
	m.At = time.Unix(0, int64(binary.BigEndian.Uint64(b[1:])))
	copy(m.Peer[:], b[9:])
	b = b[fixedLen:]
	key := func() (k identity.PublicKey) {
		if len(b) < len(k) {
			err = errRecord
			return k
		}
		copy(k[:], b)
		b = b[len(k):]
		return k
	}
	if flags&flagFrom != 0 {
		m.From = key()
	}
	switch {
	case err != nil:
		return actors.KeptMessage{}, err
	case flags&flagDHT != 0:
		if len(b) < 16 {
			return actors.KeptMessage{}, errRecord
		}
		m.DHT = &actors.OverDHT{
			Type: int32(binary.BigEndian.Uint32(b)), Tag: binary.BigEndian.Uint64(b[4:]), Copies: binary.BigEndian.Uint32(b[12:]),
			Encrypted: flags&flagEncrypted != 0, Stored: flags&flagStored != 0,
		}
		b = b[16:]
		if flags&flagExpires != 0 {
			if len(b) < 8 {
				return actors.KeptMessage{}, errRecord
			}
			m.DHT.Expires, b = binary.BigEndian.Uint64(b), b[8:]
		}
		if flags&flagDestination != 0 {
			m.DHT.Destination = key()
		}
	case flags&(flagEncrypted|flagDestination|flagStored|flagExpires) != 0:
		err = errRecord
	}
	if err != nil {
		return actors.KeptMessage{}, err
	}
	m.Body = b
	return m, nil
}
