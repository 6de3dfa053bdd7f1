package inbox

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
)

// Message is one message that the node received.
type Message struct {
	Seq  uint64    // grows with each message, also over restarts; a kill leaves a gap
	At   time.Time // of arrival, by the wall clock
	Peer identity.NodeID
	From identity.PublicKey // who wrote it; zero: over the DHT, and it does not say
	Body []byte
	DHT  *DHT   // nil: it is a plain message
	Lost uint64 // of a copy: how many were not copied just before, because room was needed
}

// DHT is what is known of a message that came over the DHT beside what every
// message has. Peer need not be who wrote it.
type DHT struct {
	Type        int32
	Encrypted   bool
	Destination identity.PublicKey
	Tag         uint64
	Copies      uint32 // how often it has come, this time included
}

// A record is flags, the time, the peer, then what the flags say, then the body;
// numbers are big-endian.
const (
	flagDHT = 1 << iota
	flagFrom
	flagEncrypted
	flagDestination
	flagsKnown = 1<<iota - 1
)

const fixedLen = 1 + 8 + identity.NodeIDLen

var errRecord = errors.New("inbox: a record that cannot be read")

// appendRecord appends the form of m on the disk.
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
		if !d.Destination.IsZero() {
			b = append(b, d.Destination[:]...)
		}
	}
	return append(b, m.Body...)
}

// recordTime is when the message of a record arrived, without the rest; false
// if it is no record.
func recordTime(b []byte) (at int64, ok bool) {
	if len(b) < fixedLen || b[0]&^flagsKnown != 0 {
		return 0, false
	}
	if _, err := decodeRecord(b); err != nil {
		return 0, false
	}
	return int64(binary.BigEndian.Uint64(b[1:])), true
}

// decodeRecord reads what appendRecord wrote; the body is part of b.
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
			Encrypted: flags&flagEncrypted != 0,
		}
		if b = b[16:]; flags&flagDestination != 0 {
			m.DHT.Destination = key()
		}
	case flags&(flagEncrypted|flagDestination) != 0:
		err = errRecord
	}
	if err != nil {
		return Message{}, err
	}
	m.Body = b
	return m, nil
}
