package wirecheck

import (
	"crypto/rand"
	"crypto/sha3"
	"encoding/binary"
	"time"

	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/rawpeer"
)

// dhtID is the protocol that a node of the DHT serves lists of peers by.
const dhtID = "t/dht/1"

// member is a session that takes part in the DHT: it also takes the node's messages.
type member struct {
	*session
	secret *identity.Secret
	claim  identity.Claim // as in its identity frame
}

// enter connects to a node that runs the DHT, and opens substream 1 for messages.
func (p *probe) enter(f identity.Features) (*member, error) {
	p.hears = true
	address, err := nowhere()
	if err != nil {
		return nil, err
	}
	signed, err := identity.SignClaim(p.secret, f, [][]byte{address}, time.Now(), rand.Reader)
	if err != nil {
		return nil, err
	}
	_, c, err := p.secure()
	if err != nil {
		return nil, err
	}
	frame := rawpeer.NewClaim(signed)
	frame.Protocols, frame.Agent = []string{messagingID}, p.UserAgent
	s, err := p.start(c, frame.Frame())
	if err != nil {
		return nil, err
	}
	if !s.takes(dhtID) || !s.takes(messagingID) {
		return nil, inapplicable("its identity does not list " + messagingID + " and " + dhtID)
	}
	m := &member{s, p.secret, signed}
	return m, s.open(1, propose(optimistic, messagingID)...)
}

// counts waits until the node has had time to count the session as connected. Releases of
// Tari do so a little after the identity. A peer that they ban before stays connected.
func (m *member) counts() error { return after("a session", m.lives()) }

// nowhere returns an onion address with a random key. Everybody may store it, whatever
// networks its settings allow, and nobody reaches anything by it.
func nowhere() ([]byte, error) {
	s, err := identity.NewSecret(rand.Reader)
	if err != nil {
		return nil, err
	}
	key := s.PublicKey()
	sum := sha3.Sum256(append(append([]byte(".onion checksum"), key[:]...), 3))
	b := binary.AppendUvarint(nil, 445) // onion3
	b = append(append(append(b, key[:]...), sum[:2]...), 3)
	return binary.BigEndian.AppendUint16(b, 18189), nil
}

// announcement returns the content of a Join, a Discovery or a response.
func (m *member) announcement(nonce uint64) wire.Announcement {
	return wire.NewAnnouncement(m.claim, nonce)
}

// part returns the announcement as the only part of a body.
func part(a wire.Announcement) []byte { return wire.AppendBody(nil, a.Append(nil)) }

// draft is a message of this kind, as every node writes it.
func draft(kind wire.MessageType, to wire.Destination, body []byte) wire.Draft {
	return wire.Draft{
		Destination: to, Type: kind, Tag: nonce(), Body: body,
		Expires: uint64(time.Now().Add(3 * time.Hour).Unix()),
	}
}

// nonce returns a random number, never 0.
func nonce() uint64 {
	var b [8]byte
	rand.Read(b[:])
	return binary.BigEndian.Uint64(b[:]) | 1
}

// compose returns the message as it travels.
func (m *member) compose(d wire.Draft) ([]byte, error) {
	e, err := wire.Compose(d, m.secret, rand.Reader)
	return e.Append(nil), err
}

// unsigned is compose for a message whose signature is left out.
func (m *member) unsigned(d wire.Draft) ([]byte, error) {
	e, err := wire.Compose(d, m.secret, rand.Reader)
	e.Header.Signature = nil
	return e.Append(nil), err
}

// post sends a message to the node.
func (m *member) post(letter []byte) error { return m.data(1, message(string(letter))...) }

// letter waits until the node has sent a message of this kind, and returns it. It skips
// others; nil if none came.
func (m *member) letter(kind wire.MessageType, d time.Duration) (raw []byte, e wire.Envelope, err error) {
	m.Wait(d, func() bool {
		for err == nil {
			if raw, err = m.nextMessage(); raw == nil {
				break
			}
			if e, err = wire.DecodeEnvelope(raw); err != nil {
				err = differs("an envelope of the DHT", "%v: %s", err, around(raw, 0))
			} else if e.Header.Type == kind {
				return true
			}
		}
		return err != nil
	})
	if err == nil && raw == nil && m.Err() != nil {
		err = differs("a "+kind.String(), "the end of the connection (%v)", m.Err())
	}
	return raw, e, err
}

// nextMessage returns the next message on any substream that the node has opened, or nil.
// It agrees to messages and refuses all else.
func (s *session) nextMessage() ([]byte, error) {
	for _, id := range s.Opened() {
		if err := s.agree(id); err != nil {
			return nil, err
		}
		if b := s.takeMessage(id); b != nil {
			return b, nil
		}
	}
	return nil, nil
}

// agree reads the node's proposals on a substream that it has opened.
func (s *session) agree(id uint32) error {
	for {
		flags, proposed, ok := s.proposal(id)
		switch {
		case !ok:
			return nil
		case proposed != messagingID && flags&flagOptimistic != 0:
			s.Forget(id)
			return s.Send(rawpeer.TypeData, rawpeer.RST, id, 0)
		case proposed != messagingID:
			if err := s.data(id, refusal...); err != nil {
				return err
			}
		case flags&flagOptimistic == 0:
			return s.data(id, propose(0, messagingID)...)
		}
	}
}

// proposal takes the next proposal from a substream on which nothing is agreed.
func (s *session) proposal(id uint32) (flags byte, proposed string, ok bool) {
	st := s.Stream(id)
	if st.Taken == 0 { // it is new
		delete(s.agreed, id)
	}
	b := st.Rest()
	if s.agreed[id] || len(b) < 2 || len(b) < 2+int(b[0]) {
		return 0, "", false
	}
	n := 2 + int(b[0])
	s.Take(id, n)
	proposed = b[2:n]
	s.agreed[id] = proposed == messagingID
	return b[1], proposed, true
}

// takeMessage takes a whole message from a substream for messages; nil if there is none.
func (s *session) takeMessage(id uint32) []byte {
	if !s.agreed[id] {
		return nil
	}
	b, n := framed4(s.Stream(id).Rest())
	s.Take(id, n)
	return b
}

// framed4 returns the first frame with a length of four bytes, and how many bytes it
// takes; nil and 0 if it is not complete.
func framed4(s string) ([]byte, int) {
	if len(s) < 4 {
		return nil, 0
	}
	n := 4 + int(binary.BigEndian.Uint32([]byte(s[:4])))
	if len(s) < n {
		return nil, 0
	}
	return []byte(s[4:n]), n
}
