package wirecheck

import (
	"fmt"

	dhtwire "github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
)

func joinChecks() []Check {
	checks := []Check{
		{Name: "join.taken", Rules: "dht 78", Title: "a signed Join is taken without a ban", run: joinTaken},
		{Name: "join.relayed", Rules: "dht 78, 81", Title: "it is relayed with its bytes unchanged, not to the joiner", pair: true, run: joinRelayed},
	}
	for _, c := range []struct {
		name, title string
		make        func(m *member) ([]byte, error)
	}{
		{"unsigned", "a Join without a signature", func(m *member) ([]byte, error) {
			return m.unsigned(m.join(m.announcement(nonce())))
		}},
		{"undecodable", "a Join whose part is no announcement", func(m *member) ([]byte, error) {
			d := m.join(m.announcement(nonce()))
			d.Body = dhtwire.AppendBody(nil, []byte("\xff\xff\xff"))
			return m.compose(d)
		}},
		{"other-key", "a Join that announces another's key", func(m *member) ([]byte, error) {
			a := m.announcement(nonce())
			a.Key = identityPoint
			return m.compose(m.join(a))
		}},
		{"forged", "a Join whose claim is signed over another address", func(m *member) ([]byte, error) {
			a := m.announcement(nonce())
			a.Addresses = [][]byte{ourAddress}
			return m.compose(m.join(a))
		}},
	} {
		checks = append(checks, Check{
			Name: "join." + c.name, Rules: "dht 78", Title: c.title + " ends the connection",
			run: func(p *probe) error { return p.refusesLetter(c.make) },
		})
	}
	return needSession(checks)
}

// identityPoint is the key of another node, which did not sign.
var identityPoint = []byte("\xe2\xf2\xae\x0a\x6a\xbc\x4e\x71\xa8\x84\xa9\x61\xc5\x00\x51\x5f\x58\xe3\x0b\x6a\xa5\x82\xdd\x8d\xb6\xa6\x59\x45\xe0\x8d\x2d\x76")

func needSession(checks []Check) []Check {
	for i := range checks {
		checks[i].needs = needsSession
	}
	return checks
}

// join returns a Join with this content.
func (m *member) join(a dhtwire.Announcement) dhtwire.Draft {
	return draft(dhtwire.TypeJoin, dhtwire.To(m.secret.PublicKey()), part(a))
}

// refusesLetter sends a message for which the node must ban the sender.
func (p *probe) refusesLetter(letter func(m *member) ([]byte, error)) error {
	m, err := p.enter(identity.FeatureNone)
	if err != nil {
		return err
	}
	b, err := letter(m)
	if err != nil {
		return err
	}
	if err := m.post(b); err != nil {
		return err
	}
	return m.closes()
}

func joinTaken(p *probe) error {
	m, err := p.enter(identity.FeatureNone)
	if err != nil {
		return err
	}
	b, err := m.compose(m.join(m.announcement(nonce())))
	if err != nil {
		return err
	}
	if err := m.post(b); err != nil {
		return err
	}
	return after("a Join", m.stays(1))
}

// candidates is how many keys the watcher chooses from, so that it is among the closest
// to the joiner that the node is connected with.
const candidates = 64

func joinRelayed(p *probe) error {
	watching, err := p.Target.probe(p.ctx)
	if err != nil {
		return err
	}
	p.opened = append(p.opened, watching.end)
	for range candidates {
		other, err := p.Target.probe(p.ctx)
		if err != nil {
			return err
		}
		other.end()
		self := p.secret.NodeID()
		if other.secret.NodeID().Distance(self).Cmp(watching.secret.NodeID().Distance(self)) < 0 {
			watching.secret = other.secret
		}
	}
	watcher, err := watching.enter(identity.FeatureNode)
	if err != nil {
		return err
	}
	if err := watcher.lives(); err != nil {
		return after("a session of a node", err)
	}
	joiner, err := p.enter(identity.FeatureNode)
	if err != nil {
		return err
	}
	sent, err := joiner.compose(joiner.join(joiner.announcement(nonce())))
	if err != nil {
		return err
	}
	if err := joiner.post(sent); err != nil {
		return err
	}
	if err := joiner.stays(1); err != nil {
		return after("a Join", err)
	}
	got, _, err := watcher.letter(dhtwire.TypeJoin, patience)
	switch {
	case err != nil:
		return after("a Join of another node", err)
	case got == nil:
		return inapplicable(fmt.Sprintf("no relayed Join came within %v: it chose other nodes, or relays none", patience))
	}
	if err := compare("the relayed Join", sent, got); err != nil {
		return err
	}
	if back, _, err := joiner.letter(dhtwire.TypeJoin, 2*quiet); err != nil || back != nil {
		return after("a Join", orDiffers(err, "nothing sent back to the joiner", around(back, 0)))
	}
	return after("a Join", joiner.stays(1))
}

// orDiffers returns err, or a failure if there is none.
func orDiffers(err error, want, got string) error {
	if err != nil {
		return err
	}
	return differs(want, "%s", got)
}
