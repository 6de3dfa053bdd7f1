package seedwire

import (
	"encoding/binary"

	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// Check returns nil for a message that this wire can carry. It fails with [ErrVerb], and
// with an [*overlay.ValueTooLargeError] for a STORE above the limit of [NewCodec] and for any
// datagram above [MaxDatagram].
func (c Codec) Check(m *overlay.Message) error {
	size := c.Size(m)
	switch {
	case size == 0:
		return ErrVerb
	case m.Verb == overlay.Store && len(m.Record.Value) > c.maxValue:
		return &overlay.ValueTooLargeError{Size: len(m.Record.Value), Max: c.maxValue, Gateway: gateway}
	case size > MaxDatagram && m.Record != nil:
		return &overlay.ValueTooLargeError{Size: len(m.Record.Value), Max: c.longestValue(), Gateway: gateway}
	case size > MaxDatagram:
		return &overlay.ValueTooLargeError{Size: size, Max: MaxDatagram, Gateway: gateway}
	}
	return nil
}

// Append appends the datagram of m to dst. Of each contact it writes the first address,
// and a contact without any is left out: [Codec.Select] returns contacts with the one
// that the receiver can use. It fails as [Codec.Check] does; dst is then returned as it
// was.
func (c Codec) Append(dst []byte, m *overlay.Message) ([]byte, error) {
	if err := c.Check(m); err != nil {
		return dst, err
	}
	b := c.appendID(dst, overlay.ID(m.ID))
	b = c.appendID(b, m.Sender)
	switch m.Verb {
	case overlay.Ping:
		return appendTag(b, tagPing), nil
	case overlay.Pong:
		return appendTag(b, tagPong), nil
	case overlay.FindNode:
		return c.appendID(appendTag(b, tagFindNode), m.Target), nil
	case overlay.FindValue:
		return c.appendID(appendTag(b, tagFindValue), m.Target), nil
	case overlay.Store:
		return c.appendRecord(appendTag(b, tagStore), m.Record), nil
	case overlay.Value:
		return c.appendRecord(appendTag(b, tagValue), m.Record), nil
	}
	return c.appendContacts(appendTag(b, tagNodes), m.Contacts), nil // Nodes: Size knows no other
}

func appendTag(dst []byte, tag uint32) []byte { return binary.LittleEndian.AppendUint32(dst, tag) }

func appendLength(dst []byte, n int) []byte {
	return binary.LittleEndian.AppendUint64(dst, uint64(n))
}

func (c Codec) appendID(dst []byte, id overlay.ID) []byte {
	return append(appendLength(dst, c.n), id[:c.n]...)
}

func (c Codec) appendRecord(dst []byte, r *overlay.Record) []byte {
	dst = c.appendID(dst, r.Key)
	return append(appendLength(dst, len(r.Value)), r.Value...)
}

func (c Codec) appendContacts(dst []byte, contacts []overlay.Contact) []byte {
	count := len(dst)
	dst = appendLength(dst, 0)
	n := uint64(0)
	for i := range contacts {
		if len(contacts[i].Addresses) == 0 {
			continue
		}
		n++
		a := contacts[i].Addresses[0]
		dst = append(appendLength(dst, len(a)), a...)
		dst = c.appendID(dst, contacts[i].ID)
	}
	binary.LittleEndian.PutUint64(dst[count:], n)
	return dst
}
