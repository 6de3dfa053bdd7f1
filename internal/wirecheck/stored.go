package wirecheck

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// asker connects as a client to a node that stores messages for others and answers requests
// for them.
func (p *probe) asker() (*member, error) {
	if p.learned.answersNothing.Load() {
		return nil, answersNothing
	}
	m, err := p.enter(identity.FeatureNone)
	if err != nil {
		return nil, err
	}
	if identity.Features(m.said.features.n)&identity.FeatureStoreForward == 0 {
		return nil, inapplicable("its identity does not say that it stores messages")
	}
	r, err := m.stored(wire.StoredRequest{}, false)
	switch {
	case err != nil:
		return nil, after("a request for stored messages", err)
	case r == nil && p.Release == protocol.Release6:
		p.learned.answersNothing.Store(true)
		return nil, answersNothing
	case r == nil:
		return nil, differs("an answer to a request for stored messages", "none within %v", patience)
	}
	return m, nil
}

// answersNothing is of a node of the newest release, which has given up storing messages.
const answersNothing = inapplicable("it answers no request for stored messages: it has given up storing messages")

// request returns a request for stored messages, encrypted for the node or clear.
func (m *member) request(part []byte, encrypted bool) ([]byte, error) {
	d := draft(wire.TypeStoredRequest, wire.Destination{}, wire.AppendBody(nil, part))
	if encrypted {
		d.Destination, d.EncryptFor = wire.To(m.p.Key), m.p.Key
	}
	return m.compose(d)
}

// stored asks for stored messages, with a random id, and returns the checked answer; nil if
// none came.
func (m *member) stored(r wire.StoredRequest, encrypted bool) (*wire.StoredResponse, error) {
	r.RequestID = uint32(nonce())
	b, err := m.request(r.Append(nil), encrypted)
	if err != nil {
		return nil, err
	}
	if err := m.post(b); err != nil {
		return nil, err
	}
	return m.answerTo(r.RequestID, patience)
}

// answerTo waits for the answer to the request with this id, and checks all of it but the
// messages; nil if none came.
func (m *member) answerTo(id uint32, d time.Duration) (*wire.StoredResponse, error) {
	raw, e, err := m.letter(wire.TypeStoredMessages, d)
	switch {
	case err != nil:
		return nil, err
	case raw == nil:
		return nil, nil
	case e.Header.Encrypted() || len(e.Header.Signature) > 0:
		return nil, differs("an answer that is clear and not signed", "%s", around(raw, 0))
	case e.Header.Destination.Known:
		return nil, differs("an answer without a destination", "one for %s", e.Header.Destination.Key.Short())
	}
	parts, err := wire.DecodeBody(e.Body)
	if err != nil || len(parts) != 1 {
		return nil, differs("an answer with one part", "%d parts, %v", len(parts), err)
	}
	r, err := wire.DecodeStoredResponse(parts[0])
	if err != nil {
		return nil, differs("stored messages in the answer", "%v: %s", err, around(parts[0], 0))
	}
	if r.RequestID != id || r.Type != 0 {
		return nil, differs(fmt.Sprintf("an answer with the id %d and type 0", id), "the id %d and type %d", r.RequestID, r.Type)
	}
	return &r, nil
}

// mustStored is stored for a node that is known to answer.
func (m *member) mustStored(r wire.StoredRequest) (*wire.StoredResponse, error) {
	got, err := m.stored(r, false)
	if err == nil && got == nil {
		err = differs("an answer to a request for stored messages", "none within %v", patience)
	}
	return got, err
}

// away makes the check's identity one whose messages the node is likely to store: it is
// close to the node.
func (p *probe) away() error {
	s, err := closest(p.Key.NodeID())
	if err == nil {
		p.secret = s
	}
	return err
}

// candidates is how many keys closest chooses from.
const candidates = 64

// closest returns an identity that is close to a node.
func closest(to identity.NodeID) (*identity.Secret, error) {
	var best *identity.Secret
	for range candidates {
		s, err := identity.NewSecret(rand.Reader)
		if err != nil {
			return nil, fmt.Errorf("make an identity: %w", err)
		}
		if best == nil || s.NodeID().Distance(to).Cmp(best.NodeID().Distance(to)) < 0 {
			best = s
		}
	}
	return best, nil
}

// other returns another identity that ends with the check.
func (p *probe) other() (*probe, error) {
	o, err := p.Target.probe(p.ctx)
	if err != nil {
		return nil, err
	}
	p.opened = append(p.opened, o.end)
	return o, nil
}

// writer returns a client that writes to those who are away, connected to a node that
// answers requests.
func (p *probe) writer() (*member, error) {
	o, err := p.other()
	if err != nil {
		return nil, err
	}
	return o.asker()
}

// noType is the type of the messages of an application that nobody has.
const noType = 0x7fff0001

// sealedFor returns a message that only the holder of the key can read.
func (m *member) sealedFor(key identity.PublicKey, change func(d *wire.Draft)) ([]byte, error) {
	body := wire.AppendBody(nil, wire.DomainHeader{Type: noType, Nonce: nonce()}.Append(nil), []byte("for one who is away"))
	d := draft(wire.TypeDomain, wire.To(key), body)
	d.EncryptFor = key
	if change != nil {
		change(&d)
	}
	return m.compose(d)
}

// leave sends count messages for somebody who is away, and waits until the node has had a
// moment for them.
func (m *member) leave(key identity.PublicKey, count int) (letters [][]byte, err error) {
	for range count {
		b, err := m.sealedFor(key, nil)
		if err != nil {
			return nil, err
		}
		if err := m.post(b); err != nil {
			return nil, err
		}
		letters = append(letters, b)
	}
	return letters, after("messages for one who is away", m.lives())
}

// waits are the times between requests for a message that may not be stored yet. A node
// bounds how often a peer may ask.
var waits = []time.Duration{0, quiet, 2 * quiet, 4 * quiet, 8 * quiet}

// fetch asks until an answer brings any of the messages, and returns that answer. That none
// does is no fault: it is the node's choice what it stores.
func (m *member) fetch(r wire.StoredRequest, letters ...[]byte) (*wire.StoredResponse, error) {
	for _, d := range waits {
		m.Wait(d, func() bool { return false })
		got, err := m.mustStored(r)
		if err != nil {
			return nil, err
		}
		for _, l := range letters {
			if at, err := find(got, l); err != nil || at >= 0 {
				return got, err
			}
		}
	}
	return nil, inapplicable("it did not store a message for a key close to its own: it knows closer ones, or is full")
}

// find returns the index of a message in an answer, or -1. It is an error if the message was
// altered.
func find(r *wire.StoredResponse, letter []byte) (int, error) {
	want, err := wire.DecodeEnvelope(letter)
	if err != nil {
		return -1, err
	}
	for i := range r.Messages {
		if !bytes.Equal(r.Messages[i].Body, want.Body) {
			continue
		}
		got, err := r.Messages[i].Envelope()
		if err != nil {
			return i, differs("the stored message as it was sent", "%v", err)
		}
		return i, compare("the stored message", letter, got.Append(nil))
	}
	return -1, nil
}
