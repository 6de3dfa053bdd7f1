package wirecheck

import (
	"fmt"
	"time"

	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
)

func discoveryChecks() []Check {
	checks := []Check{
		{Name: "discovery.answered", Rules: "dht 84", Title: "an encrypted Discovery is answered, signed, with its nonce", run: discoveryAnswered},
		{Name: "discovery.clear", Rules: "dht 84", Title: "a clear, signed one is answered too", run: discoveryClear},
		{Name: "discovery.again", Rules: "dht 84", Title: "a nonce seen 6 s ago, in a new message, is answered again", slow: true, run: discoveryAgain},
		{Name: "discovery.claim", Rules: "dht 84, 130", Title: "the claim in the answer is well formed, and signed by the node", run: discoveryClaim},
		{Name: "response.unasked", Rules: "dht 88", Title: "a response with an unknown nonce is ignored", run: responseUnasked},
	}
	for _, c := range []struct {
		name, rules, title string
		make               func(m *member) ([]byte, error)
	}{
		{"discovery.unsigned", "dht 84", "a clear Discovery without a signature", func(m *member) ([]byte, error) {
			return m.unsigned(m.discovery(part(m.announcement(nonce()))))
		}},
		{"discovery.undecodable", "dht 84", "a Discovery whose part is no announcement", func(m *member) ([]byte, error) {
			return m.sealed(wire.AppendBody(nil, []byte("\xff\xff\xff")))
		}},
		{"response.unsigned", "dht 87", "a response without a signature", func(m *member) ([]byte, error) {
			return m.unsigned(draft(wire.TypeDiscoveryResponse, wire.Destination{}, part(m.announcement(nonce()))))
		}},
		{"response.other-key", "dht 87", "a response that announces another's key", func(m *member) ([]byte, error) {
			a := m.announcement(nonce())
			a.Key = identityPoint
			return m.compose(draft(wire.TypeDiscoveryResponse, wire.Destination{}, part(a)))
		}},
	} {
		checks = append(checks, Check{
			Name: c.name, Rules: c.rules, Title: c.title + " ends the connection",
			run: func(p *probe) error { return p.refusesLetter(c.make) },
		})
	}
	return needSession(checks)
}

// discovery returns a Discovery of the node in clear.
func (m *member) discovery(body []byte) wire.Draft {
	return draft(wire.TypeDiscovery, wire.To(m.p.Key), body)
}

// sealed returns an encrypted Discovery of the node.
func (m *member) sealed(body []byte) ([]byte, error) {
	d := m.discovery(body)
	d.EncryptFor = m.p.Key
	return m.compose(d)
}

// ask sends a Discovery and returns the content of the answer.
func (m *member) ask(letter []byte, n uint64) (wire.Announcement, error) {
	var a wire.Announcement
	if err := m.post(letter); err != nil {
		return a, err
	}
	_, e, err := m.letter(wire.TypeDiscoveryResponse, patience)
	switch {
	case err != nil:
		return a, after("a Discovery", err)
	case e.Header.Type != wire.TypeDiscoveryResponse:
		return a, differs("an answer to the Discovery", "none within %v", patience)
	case e.Header.Destination.Known || e.Header.Encrypted():
		return a, differs("a clear answer without a destination", "one that is %v, for %v", e.Header.Flags, e.Header.Destination)
	case e.Header.Expired(time.Now().Unix()):
		return a, differs("an answer that has not expired", "one that expired at %d", e.Header.Expires)
	}
	signer, err := e.VerifyOrigin()
	switch {
	case err != nil:
		return a, differs("an answer with a signature that verifies", "%v", err)
	case signer != m.p.Key:
		return a, differs("an answer signed by "+m.p.Key.String(), "one by %s", signed(signer))
	}
	parts, err := wire.DecodeBody(e.Body)
	if err != nil || len(parts) == 0 {
		return a, differs("an answer with one part", "%d parts, %v", len(parts), err)
	}
	if a, err = wire.DecodeAnnouncement(parts[0]); err != nil {
		return a, differs("an answer with an announcement in it", "%v: %s", err, around(parts[0], 0))
	}
	if err := compare("the key in the answer", m.p.Key[:], a.Key); err != nil {
		return a, err
	}
	if a.Nonce != n {
		return a, differs(fmt.Sprintf("an answer with the nonce %d", n), "%d", a.Nonce)
	}
	return a, nil
}

func signed(signer identity.PublicKey) string {
	if signer.IsZero() {
		return "nobody"
	}
	return signer.String()
}

// found asks the node for itself with an encrypted Discovery.
func (p *probe) found() (*member, wire.Announcement, error) {
	m, err := p.enter(identity.FeatureNone)
	if err != nil {
		return nil, wire.Announcement{}, err
	}
	n := nonce()
	b, err := m.sealed(part(m.announcement(n)))
	if err != nil {
		return nil, wire.Announcement{}, err
	}
	a, err := m.ask(b, n)
	return m, a, err
}

func discoveryAnswered(p *probe) error {
	m, _, err := p.found()
	if err != nil {
		return err
	}
	return m.goesOn(1)
}

func discoveryClear(p *probe) error {
	m, err := p.enter(identity.FeatureNone)
	if err != nil {
		return err
	}
	n := nonce()
	d := m.discovery(part(m.announcement(n)))
	d.Sign = true
	b, err := m.compose(d)
	if err != nil {
		return err
	}
	if _, err := m.ask(b, n); err != nil {
		return err
	}
	return m.goesOn(1)
}

// replyPause is how long the check waits before it asks again: a node may bound how often it
// answers one author.
const replyPause = 6 * time.Second

func discoveryAgain(p *probe) error {
	m, first, err := p.found()
	if err != nil {
		return err
	}
	m.Wait(replyPause, func() bool { return false })
	b, err := m.sealed(part(m.announcement(first.Nonce)))
	if err != nil {
		return err
	}
	_, err = m.ask(b, first.Nonce)
	return after("an answer to the same nonce", err)
}

func discoveryClaim(p *probe) error {
	_, a, err := p.found()
	if err != nil {
		return err
	}
	c, err := a.Claim()
	if err != nil {
		return differs("a claim", "%v", err)
	}
	if n := len(c.Addresses); n == 0 || n > limits.Addresses {
		return differs("1 to 5 addresses", "%d", n)
	}
	for _, b := range c.Addresses {
		if err := address.CheckBytes(b); err != nil {
			return differs("well-formed addresses", "%x: %v", b, err)
		}
	}
	if err := c.VerifyWithin(time.Now(), limits.ClaimSkew); err != nil {
		return differs("a claim that is signed by "+p.Key.Short()+" and dated", "%v", err)
	}
	return nil
}

func responseUnasked(p *probe) error {
	m, err := p.enter(identity.FeatureNone)
	if err != nil {
		return err
	}
	b, err := m.compose(draft(wire.TypeDiscoveryResponse, wire.Destination{}, part(m.announcement(nonce()))))
	if err != nil {
		return err
	}
	if err := m.post(b); err != nil {
		return err
	}
	return after("a response that it did not ask for", m.stays(1))
}
