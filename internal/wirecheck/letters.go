package wirecheck

import (
	"crypto/rand"
	"crypto/sha3"
	"encoding/binary"
	"time"

	dhtwire "github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
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
	frame := &claim{
		length: -1, addresses: signed.Addresses, features: uint64(f), protocols: []string{messagingID},
		agent: p.UserAgent, signature: encodeSignature(signed.Signature),
	}
	s, err := p.start(c, frame.frame())
	if err != nil {
		return nil, err
	}
	if !s.takes(dhtID) || !s.takes(messagingID) {
		return nil, inapplicable("its identity does not list " + messagingID + " and " + dhtID)
	}
	m := &member{s, p.secret, signed}
	return m, s.open(1, propose(optimistic, messagingID)...)
}

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
func (m *member) announcement(nonce uint64) dhtwire.Announcement {
	return dhtwire.NewAnnouncement(m.claim, nonce)
}

// part returns the announcement as the only part of a body.
func part(a dhtwire.Announcement) []byte { return dhtwire.AppendBody(nil, a.Append(nil)) }

// draft is a message of this kind, as every node writes it.
func draft(kind dhtwire.MessageType, to dhtwire.Destination, body []byte) dhtwire.Draft {
	return dhtwire.Draft{
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
func (m *member) compose(d dhtwire.Draft) ([]byte, error) {
	e, err := dhtwire.Compose(d, m.secret, rand.Reader)
	return e.Append(nil), err
}

// unsigned is compose for a message whose signature is left out.
func (m *member) unsigned(d dhtwire.Draft) ([]byte, error) {
	e, err := dhtwire.Compose(d, m.secret, rand.Reader)
	e.Header.Signature = nil
	return e.Append(nil), err
}

// post sends a message to the node.
func (m *member) post(letter []byte) error { return m.data(1, message(string(letter))...) }

// letter waits until the node has sent a message of this kind, and returns it. It skips
// others; nil if none came.
func (m *member) letter(kind dhtwire.MessageType, d time.Duration) (raw []byte, e dhtwire.Envelope, err error) {
	m.wait(d, func() bool {
		for err == nil {
			if raw, err = m.nextMessage(); raw == nil {
				break
			}
			if e, err = dhtwire.DecodeEnvelope(raw); err != nil {
				err = differs("an envelope of the DHT", "%v: %s", err, around(raw, 0))
			} else if e.Header.Type == kind {
				return true
			}
		}
		return err != nil
	})
	if err == nil && raw == nil && m.end() != nil {
		err = differs("a "+kind.String(), "the end of the connection (%v)", m.end())
	}
	return raw, e, err
}

// nextMessage returns the next message on any substream that the node has opened, or nil.
// It agrees to messages and refuses all else.
func (s *session) nextMessage() ([]byte, error) {
	s.mu.Lock()
	opened := append([]uint32(nil), s.opened...)
	s.mu.Unlock()
	for _, id := range opened {
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
			s.forget(id)
			return s.send(kindData, rst, id, 0, nil)
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
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streams[id]
	if st == nil || st.agreed {
		return 0, "", false
	}
	b := st.data[st.read:]
	if len(b) < 2 || len(b) < 2+int(b[0]) {
		return 0, "", false
	}
	n := 2 + int(b[0])
	st.read += n
	proposed = string(b[2:n])
	st.agreed = proposed == messagingID
	return b[1], proposed, true
}

func (s *session) forget(id uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.streams, id)
}

// takeMessage takes a whole message from a substream for messages; nil if there is none.
func (s *session) takeMessage(id uint32) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streams[id]
	if st == nil || !st.agreed {
		return nil
	}
	b, n := framed4(st.data[st.read:])
	st.read += n
	return b
}

// framed4 returns the first frame with a length of four bytes, and how many bytes it
// takes; nil and 0 if it is not complete.
func framed4(b []byte) ([]byte, int) {
	if len(b) < 4 {
		return nil, 0
	}
	n := 4 + int(binary.BigEndian.Uint32(b))
	if len(b) < n {
		return nil, 0
	}
	return b[4:n:n], n
}
