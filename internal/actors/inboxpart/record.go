package inboxpart

import (
	"encoding/binary"
	"errors"
	"time"
	"unique"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
)

// KeptMessage is one message that the node received.
type KeptMessage struct {
	Seq  uint64             // grows with each message, also over restarts; a kill leaves a gap
	At   time.Time          // time of arrival, by the system's clock
	Peer identity.NodeID    // the peer that delivered the message
	From identity.PublicKey // the author; zero for a DHT message that does not name one
	ID   actors.MessageID   // zero: its sender gave it none
	Body []byte
	// Topic is the word that its sender gave it; empty: none.
	Topic string
	DHT   *actors.OverDHT // nil: it is a plain message
	// Attempt is how often the message was handed out, with this time; 0 for a copier.
	Attempt int
	// Listener has the message in hand; 0 for a copier.
	Listener uint64
	Lost     uint64 // for a copier: how many messages before this one were deleted to make room
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
	flagID
	flagTopic
)

const fixedLen = 1 + 8 + identity.NodeIDLen

var errRecord = errors.New("inbox: a record that cannot be read")

// appendRecord appends the record of m.
func appendRecord(b []byte, m *KeptMessage) []byte {
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
	if !m.ID.IsZero() {
		flags |= flagID
	}
	if m.Topic != "" {
		flags |= flagTopic
	}
	b = append(b, flags)
	b = binary.BigEndian.AppendUint64(b, uint64(m.At.UnixNano()))
	b = append(b, m.Peer[:]...)
	if flags&flagFrom != 0 {
		b = append(b, m.From[:]...)
	}
	if flags&flagID != 0 {
		b = binary.BigEndian.AppendUint64(b, m.ID.Epoch)
		b = binary.BigEndian.AppendUint64(b, m.ID.Number)
	}
	if m.Topic != "" {
		b = append(append(b, byte(len(m.Topic))), m.Topic...)
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

// recordHead returns what the box is to know of a record's message, and its id if it has one. It returns false if b is no record.
func recordHead(b []byte) (e Entry, id mark, ok bool) {
	m, err := decodeRecord(b)
	if err != nil {
		return e, mark{}, false
	}
	return Entry{Size: len(b), At: int64(binary.BigEndian.Uint64(b[1:])), Over: sourcesOf(&m), Topic: m.Topic}, markOf(&m), true
}

// sourcesOf returns the sources of a message over the DHT, nil for a plain one.
func sourcesOf(m *KeptMessage) *Over {
	if m.DHT == nil {
		return nil
	}
	return &Over{m.Peer, m.From}
}

// decodeRecord decodes a record. The message's body is a part of b.
func decodeRecord(b []byte) (m KeptMessage, err error) {
	if len(b) < fixedLen {
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
	if flags&flagID != 0 {
		if len(b) < 16 {
			return KeptMessage{}, errRecord
		}
		m.ID, b = actors.MessageID{Epoch: binary.BigEndian.Uint64(b), Number: binary.BigEndian.Uint64(b[8:])}, b[16:]
		if m.ID.IsZero() {
			return KeptMessage{}, errRecord
		}
	}
	if flags&flagTopic != 0 {
		if len(b) == 0 || b[0] == 0 || len(b) <= int(b[0]) || flags&flagDHT != 0 {
			return KeptMessage{}, errRecord
		}
		m.Topic, b = unique.Make(string(b[1:1+b[0]])).Value(), b[1+b[0]:]
	}
	switch {
	case err != nil:
		return KeptMessage{}, err
	case flags&flagDHT != 0:
		if len(b) < 16 {
			return KeptMessage{}, errRecord
		}
		m.DHT = &actors.OverDHT{
			Type: int32(binary.BigEndian.Uint32(b)), Tag: binary.BigEndian.Uint64(b[4:]), Copies: binary.BigEndian.Uint32(b[12:]),
			Encrypted: flags&flagEncrypted != 0, Stored: flags&flagStored != 0,
		}
		b = b[16:]
		if flags&flagExpires != 0 {
			if len(b) < 8 {
				return KeptMessage{}, errRecord
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
		return KeptMessage{}, err
	}
	m.Body = b
	return m, nil
}
