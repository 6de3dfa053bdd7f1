package wirecheck

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/transport"
)

// identityFrame is what offsets of an identity message count in.
const identityFrame = "the identity frame"

const identityHeader = 3

// identityFields is the identity frame of the node, with the place of every field. It is
// read here once more, apart from the node's own code, because a check has to
// name the byte that is wrong.
type identityFields struct {
	frame []byte

	addresses []field
	features  field
	protocols []field
	agent     field
	signature field
	version   field // of the signature, and so on
	scalar    field
	nonce     field
	updated   field
}

// field is the value of a field of the message, and where it begins.
type field struct {
	at    int
	value []byte // of type 2
	n     uint64 // of type 0
}

// hear reads the node's identity frame, header and announced body, without
// judging the contents.
func hear(c deadliner, d time.Duration) ([]byte, error) {
	c.SetReadDeadline(time.Now().Add(d))
	defer c.SetReadDeadline(time.Time{})
	frame := make([]byte, identityHeader)
	if n, err := io.ReadFull(c, frame); err != nil {
		return nil, cut(frame[:n], err, d)
	}
	length := int(binary.LittleEndian.Uint16(frame[1:]))
	frame = slices.Concat(frame, make([]byte, length))
	if n, err := io.ReadFull(c, frame[identityHeader:]); err != nil {
		return nil, cut(frame[:identityHeader+n], err, d)
	}
	return frame, nil
}

// cut is an identity frame that did not come whole.
func cut(frame []byte, err error, d time.Duration) error {
	why := "the end of the connection"
	if transport.IsTimeout(err) {
		why = "nothing more within " + d.String()
	}
	return differsAt(identityFrame, len(frame), "an identity frame", "%s and then %s", around(frame, len(frame)), why)
}

// maxFields bounds the fields of one message; a body of 1,024 bytes cannot hold
// many more.
const maxFields = 1024

// parse finds the fields of the message.
func parse(frame []byte) (*identityFields, error) {
	s := &identityFields{frame: frame}
	err := walk(frame, identityHeader, len(frame), func(number uint64, f field) error {
		switch number {
		case 1:
			s.addresses = append(s.addresses, f)
		case 2:
			s.features = f
		case 3:
			s.protocols = append(s.protocols, f)
		case 4:
			s.agent = f
		case 5:
			s.signature = f
		}
		return nil
	})
	if err != nil || s.signature.at == 0 {
		return s, err
	}
	begin := s.signature.at
	err = walk(frame, begin, begin+len(s.signature.value), func(number uint64, f field) error {
		switch number {
		case 1:
			s.version = f
		case 2:
			s.scalar = f
		case 3:
			s.nonce = f
		case 4:
			s.updated = f
		}
		return nil
	})
	return s, err
}

// walk reads the protobuf fields between two offsets of the frame.
func walk(frame []byte, at, end int, found func(number uint64, f field) error) error {
	fields := 0
	for at < end {
		begin := at
		bad := func(what string) error {
			return differsAt(identityFrame, begin, "protobuf fields", "%s in %s", what, around(frame, begin))
		}
		varint := func() (uint64, bool) {
			v, n := binary.Uvarint(frame[at:end])
			at += max(n, 0)
			return v, n > 0
		}
		if fields++; fields > maxFields {
			return bad("too many of them")
		}
		key, ok := varint()
		if !ok {
			return bad("no field number")
		}
		f := field{at: at}
		switch key & 7 {
		case 0:
			if f.n, ok = varint(); !ok {
				return bad("no number")
			}
		case 2:
			n, ok := varint()
			if !ok || n > uint64(end-at) {
				return bad("a length that leads out of the message")
			}
			f.at, f.value = at, frame[at:at+int(n)]
			at += int(n)
		case 1, 5:
			if at += 4 * int(2-key&7/4); at > end {
				return bad("a number that leads out of the message")
			}
		default:
			return bad(fmt.Sprintf("wire type %d", key&7))
		}
		if err := found(key>>3, f); err != nil {
			return err
		}
	}
	return nil
}

// claim is what the node has signed.
func (s *identityFields) claim(key identity.PublicKey) (identity.Claim, error) {
	c := identity.Claim{Key: key, Features: identity.Features(s.features.n)}
	for _, a := range s.addresses {
		c.Addresses = append(c.Addresses, a.value)
	}
	if s.signature.at == 0 {
		return c, differsAt(identityFrame, len(s.frame), "a signature", "none")
	}
	for _, f := range []struct {
		name  string
		field field
		into  *[32]byte
	}{{"scalar", s.scalar, &c.Signature.S}, {"nonce", s.nonce, &c.Signature.Nonce}} {
		if len(f.field.value) != len(f.into) {
			return c, differsAt(identityFrame, max(f.field.at, s.signature.at), "a "+f.name+" of 32 bytes", "%s", count(len(f.field.value), "byte"))
		}
		copy(f.into[:], f.field.value)
	}
	if s.version.n > 255 {
		return c, differsAt(identityFrame, s.version.at, "a version of one byte", "%d", s.version.n)
	}
	c.Signature.Version, c.Signature.UpdatedAt = uint8(s.version.n), int64(s.updated.n)
	return c, nil
}
