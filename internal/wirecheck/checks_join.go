package wirecheck

import (
	"fmt"

	"github.com/gamelan-p2p/gamelan/dht/wire"
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
			d.Body = wire.AppendBody(nil, []byte("\xff\xff\xff"))
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
func (m *member) join(a wire.Announcement) wire.Draft {
	return draft(wire.TypeJoin, wire.To(m.secret.PublicKey()), part(a))
}

// refusesLetter sends a message for which the node must ban the sender.
func (p *probe) refusesLetter(letter func(m *member) ([]byte, error)) error {
	m, err := p.enter(identity.FeatureNone)
	if err != nil {
		return err
	}
	if err := m.counts(); err != nil {
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

// joins is how many nodes join before a check gives up: a node relays a Join to some of the
// nodes that it is connected with, and may leave out the watcher.
const joins = 3

func joinRelayed(p *probe) error {
	watcher, err := p.enter(identity.FeatureNode)
	if err != nil {
		return err
	}
	if err := watcher.lives(); err != nil {
		return after("a session of a node", err)
	}
	sent := make(map[identity.PublicKey][]byte, joins)
	for range joins {
		joiner, end, err := p.joinerNear(watcher.secret.NodeID())
		if err != nil {
			return err
		}
		b, err := joiner.compose(joiner.join(joiner.announcement(nonce())))
		if err != nil {
			return err
		}
		sent[joiner.secret.PublicKey()] = b
		if err := joiner.post(b); err != nil {
			return err
		}
		if err := joiner.stays(1); err != nil {
			return after("a Join", err)
		}
		got, e, err := watcher.letter(wire.TypeJoin, patience)
		if err != nil {
			return after("a Join of another node", err)
		}
		if got == nil {
			end()
			continue
		}
		want, ok := sent[e.Header.Destination.Key]
		if !ok { // of nobody who joined
			want = b
		}
		if err := compare("the relayed Join", want, got); err != nil {
			return err
		}
		return joiner.hearsNothingOfItself()
	}
	return inapplicable(fmt.Sprintf("none of %d Joins was relayed within %v: it chose other nodes, or relays none", joins, patience))
}

// joinerNear connects a new node that is close to another one. End ends its connection
// before the check does.
func (p *probe) joinerNear(to identity.NodeID) (joiner *member, end func(), err error) {
	joining, err := p.other()
	if err != nil {
		return nil, nil, err
	}
	if joining.secret, err = closest(to); err != nil {
		return nil, nil, err
	}
	joiner, err = joining.enter(identity.FeatureNode)
	return joiner, joining.end, err
}

// hearsNothingOfItself checks that a Join is not sent back to the joiner, and that its
// connection stays.
func (m *member) hearsNothingOfItself() error {
	for {
		back, e, err := m.letter(wire.TypeJoin, 2*quiet)
		switch {
		case err != nil:
			return after("a Join", err)
		case back == nil:
			return after("a Join", m.stays(1))
		case e.Header.Destination.Is(m.secret.PublicKey()):
			return after("a Join", differs("nothing sent back to the joiner", "%s", around(back, 0)))
		}
	}
}
