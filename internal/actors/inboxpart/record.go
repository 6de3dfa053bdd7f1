package inboxpart

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
)

// Message is one message that the node received.
type Message struct {
	Seq  uint64             // grows with each message, also over restarts; a kill leaves a gap
	At   time.Time          // time of arrival, by the system's clock
	Peer identity.NodeID    // the peer that delivered the message
	From identity.PublicKey // the author; zero for a DHT message that does not name one
	Body []byte
	DHT  *DHT   // nil: it is a plain message
	Lost uint64 // for a copier: how many messages before this one were deleted to make room
}

// DHT holds the fields that only a message over the DHT has. The Peer of such a message
// need not be its author.
type DHT struct {
	Type        int32
	Encrypted   bool
	Destination identity.PublicKey
	Tag         uint64
	Copies      uint32 // how many copies have come, including this one
	Stored      bool   // another node had stored it while this one was away
	Expires     uint64 // when nodes stop relaying it, Unix seconds by its author's clock; 0: never
}

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
func appendRecord(b []byte, m *Message) []byte {
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
	return int64(binary.BigEndian.Uint64(b[1:])), m.over(), true
}

// over returns the sources of a message over the DHT, nil for a plain one.
func (m *Message) over() *Over {
	if m.DHT == nil {
		return nil
	}
	return &Over{m.Peer, m.From}
}

// decodeRecord decodes a record. The message's body is a part of b.
func decodeRecord(b []byte) (m Message, err error) {
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
		return Message{}, err
	case flags&flagDHT != 0:
		if len(b) < 16 {
			return Message{}, errRecord
		}
		m.DHT = &DHT{
			Type: int32(binary.BigEndian.Uint32(b)), Tag: binary.BigEndian.Uint64(b[4:]), Copies: binary.BigEndian.Uint32(b[12:]),
			Encrypted: flags&flagEncrypted != 0, Stored: flags&flagStored != 0,
		}
		b = b[16:]
		if flags&flagExpires != 0 {
			if len(b) < 8 {
				return Message{}, errRecord
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
		return Message{}, err
	}
	m.Body = b
	return m, nil
}
