package wirecheck

import (
	"fmt"
	"time"

	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// storedClientChecks are about what the node asks for itself and how it takes answers. They
// do not apply to a node that does not ask a new peer.
func storedClientChecks() []Check {
	checks := []Check{
		{Name: "stored.asks", Rules: "dht 97", Title: "its own request is clear and has a limit and no destination", run: storedAsks},
		{Name: "stored.empty", Rules: "dht 104", Title: "an empty answer to it is taken without a ban", run: storedEmpty},
		{Name: "stored.skew", Rules: "dht 104", Title: "an answer from a clock 60 s ahead is taken without a ban", run: storedSkew},
		{
			Name: "stored.too-many", Rules: "dht 103", Title: "an answer with more messages than its limit ends the connection",
			run: func(p *probe) error {
				return p.refusesStored(func(m *member, r wire.StoredRequest) (all []wire.StoredMessage, err error) {
					if r.Limit == 0 || r.Limit > mostStored {
						return nil, inapplicable(fmt.Sprintf("its limit is %d", r.Limit))
					}
					one, err := m.shortMessage()
					for range r.Limit + 1 {
						all = append(all, one)
					}
					return all, err
				})
			},
		},
	}
	for _, c := range []struct {
		name, title string
		change      func(s *stored)
	}{
		{"join", "an answer with a stored Join", nil},
		{"foreign", "an answer with a message for another key", func(s *stored) { s.to = identity.PublicKey(identityPoint) }},
		{"future", "an answer with a message stored in two days", func(s *stored) { s.at = s.at.Add(48 * time.Hour) }},
		{"no-body", "an answer with a message without a body", func(s *stored) { s.edit = func(e *wire.Envelope) { e.Body = nil } }},
		{"no-header", "an answer with a message without a header", func(s *stored) { s.headless = true }},
		{"signature", "an answer with a message altered after signing", func(s *stored) {
			s.edit = func(e *wire.Envelope) { e.Header.Expires++ }
		}},
	} {
		checks = append(checks, Check{
			Name: "stored." + c.name, Rules: "dht 104, 106", Title: c.title + " ends the connection",
			run: func(p *probe) error {
				return p.refusesStored(func(m *member, _ wire.StoredRequest) ([]wire.StoredMessage, error) {
					one, err := m.hostile(c.change)
					return []wire.StoredMessage{one}, err
				})
			},
		})
	}
	return checks
}

// mostStored is the highest limit of a node that a check exceeds.
const mostStored = 200

// stored is a message of an answer, by its writer, for the node.
type stored struct {
	to       identity.PublicKey
	at       time.Time
	headless bool
	edit     func(e *wire.Envelope) // after signing
}

// message returns the message as it was stored.
func (s stored) message(m *member) (wire.StoredMessage, error) {
	b, err := m.sealedFor(s.to, nil)
	if err != nil {
		return wire.StoredMessage{}, err
	}
	e, err := wire.DecodeEnvelope(b)
	if err != nil {
		return wire.StoredMessage{}, err
	}
	if s.edit != nil {
		s.edit(&e)
	}
	at := uint64(s.at.Unix())
	if s.headless {
		return wire.StoredMessage{StoredAt: at, Version: wire.Version, Body: e.Body}, nil
	}
	return wire.NewStoredMessage(e, at), nil
}

// past is when messages of answers were stored, by a clock that may be behind the node's.
func past() time.Time { return time.Now().Add(-time.Minute) }

// shortMessage returns a message that keeps all rules: it is clear, for anybody, and not
// signed.
func (m *member) shortMessage() (wire.StoredMessage, error) {
	body := wire.AppendBody(nil, wire.DomainHeader{Type: noType, Nonce: nonce()}.Append(nil), []byte("stored"))
	b, err := m.compose(draft(wire.TypeDomain, wire.Destination{}, body))
	if err != nil {
		return wire.StoredMessage{}, err
	}
	e, err := wire.DecodeEnvelope(b)
	return wire.NewStoredMessage(e, uint64(past().Unix())), err
}

// hostile returns a message that breaks a rule; without a change it is a Join.
func (m *member) hostile(change func(s *stored)) (wire.StoredMessage, error) {
	if change != nil {
		s := stored{to: m.p.Key, at: past()}
		change(&s)
		return s.message(m)
	}
	b, err := m.compose(m.join(m.announcement(nonce())))
	if err != nil {
		return wire.StoredMessage{}, err
	}
	e, err := wire.DecodeEnvelope(b)
	return wire.NewStoredMessage(e, uint64(past().Unix())), err
}

// reply sends an answer with stored messages.
func (m *member) reply(r wire.StoredResponse) error {
	b, err := m.compose(draft(wire.TypeStoredMessages, wire.Destination{}, wire.AppendBody(nil, r.Append(nil))))
	if err != nil {
		return err
	}
	return m.post(b)
}

// askPatience is how long a check waits for the node's request, once in a run if none comes.
const askPatience = 3 * patience

// asked connects as a node and returns the request for stored messages that comes.
func (p *probe) asked() (*member, wire.Envelope, wire.StoredRequest, error) {
	var r wire.StoredRequest
	if p.learned.asksNobody.Load() {
		return nil, wire.Envelope{}, r, asksNobody
	}
	m, err := p.enter(identity.FeatureNode)
	if err != nil {
		return nil, wire.Envelope{}, r, err
	}
	raw, e, err := m.letter(wire.TypeStoredRequest, askPatience)
	switch {
	case err != nil:
		return nil, e, r, err
	case raw == nil:
		p.learned.asksNobody.Store(true)
		return nil, e, r, asksNobody
	}
	parts, err := wire.DecodeBody(e.Body)
	if err != nil || len(parts) != 1 {
		return nil, e, r, differs("a request with one part", "%d parts, %v", len(parts), err)
	}
	if r, err = wire.DecodeStoredRequest(parts[0]); err != nil {
		return nil, e, r, differs("a request", "%v: %s", err, around(parts[0], 0))
	}
	return m, e, r, nil
}

// asksNobody is of a node that has not asked a check that it was connected with for a while.
const asksNobody = inapplicable("it does not ask a new peer for stored messages")

func storedAsks(p *probe) error {
	m, e, r, err := p.asked()
	switch {
	case err != nil:
		return err
	case e.Header.Encrypted() || len(e.Header.Signature) > 0:
		return differs("a request that is clear and not signed", "flags %s and a signature of %s", e.Header.Flags, count(len(e.Header.Signature), "byte"))
	case e.Header.Destination.Known:
		return differs("a request without a destination", "one for %s", e.Header.Destination.Key.Short())
	case r.Limit == 0:
		return differs("a request with a limit", "0")
	}
	p.note = fmt.Sprintf("limit %d, since %d", r.Limit, r.Since)
	return m.goesOn(1)
}

func storedEmpty(p *probe) error {
	m, _, r, err := p.asked()
	if err != nil {
		return err
	}
	if err := m.reply(wire.StoredResponse{RequestID: r.RequestID}); err != nil {
		return err
	}
	return after("an empty answer", m.stays(1))
}

func storedSkew(p *probe) error {
	if p.Release != protocol.Release6 {
		return inapplicable("release " + p.Release.String() + " does otherwise")
	}
	m, _, r, err := p.asked()
	if err != nil {
		return err
	}
	one, err := stored{to: p.Key, at: time.Now().Add(time.Minute)}.message(m)
	if err != nil {
		return err
	}
	if err := m.reply(wire.StoredResponse{RequestID: r.RequestID, Messages: []wire.StoredMessage{one}}); err != nil {
		return err
	}
	return after("an answer from a clock that is ahead", m.stays(1))
}

// refusesStored answers the node's request with messages for which it must ban.
func (p *probe) refusesStored(answer func(m *member, r wire.StoredRequest) ([]wire.StoredMessage, error)) error {
	m, _, r, err := p.asked()
	if err != nil {
		return err
	}
	if err := m.counts(); err != nil {
		return err
	}
	all, err := answer(m, r)
	if err != nil {
		return err
	}
	if err := m.reply(wire.StoredResponse{RequestID: r.RequestID, Messages: all}); err != nil {
		return err
	}
	return m.closes()
}
