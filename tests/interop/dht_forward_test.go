package interop

import (
	"testing"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
)

// What we encrypt for a node of ours that only a Tari node in the middle is
// connected to is relayed by it: it arrives with our signature and tag, and is
// nothing to the one in the middle. What is clear stays there.
//
// conforms: dht 26, 44, 68
// feature: DHT: they relay what we encrypted for another
// note: 6.2.0: relays nothing unless it is told to
func TestTheyRelay(t *testing.T) {
	t.Parallel()
	against(t, func(t *testing.T, release string) {
		t.Parallel()
		a, c := startMember(t, gamelan.DHTConfig{}), startMember(t, gamelan.DHTConfig{})
		p := startTariDHT(t, release, forwards(release)...)
		reach(t, a, p, weDial)
		reach(t, c, p, theyDial)
		defer wantNoBans(t, []*member{a, c}, []*tari{p})
		for _, way := range []struct{ from, to *member }{{a, c}, {c, a}} {
			to := dht.Propagate{To: way.to.PublicKey()}
			way.from.mustSend(dht.Message{To: to, Body: []byte("clear")}, 1)
			sent := way.from.mustSend(dht.Message{To: to, Body: []byte("sealed"), Encrypt: true}, 1)
			d := way.to.delivery("sealed")
			if d.From != way.from.PublicKey() || d.Peer != p.id || !d.Encrypted || d.Destination != way.to.PublicKey() || d.Tag != sent.Tag {
				t.Errorf("got %+v, want it from %s, brought by %s, with the tag %d", d, way.from.PublicKey(), p.id, sent.Tag)
			}
			// Behind what came to the node in the middle and was not for it.
			way.from.mustSend(dht.Message{To: dht.Direct{Peer: p.id}, Body: []byte("last of " + way.from.ID().String())}, 1)
			p.delivery("last of " + way.from.ID().String())
		}
		for _, m := range []*member{a, c} {
			key := m.PublicKey()
			p.mustPost(letter{to: "key", key: &key, messageType: domainType}, "last")
			m.delivery("last")
			if n := m.times("clear"); n != 0 {
				t.Errorf("got the clear message %d times through the middle, want it kept", n)
			}
			if n := m.times("sealed"); n != 1 {
				t.Errorf("got the sealed message %d times, want once", n)
			}
		}
		if n := p.times("sealed"); n != 0 {
			t.Errorf("in the middle: got what was sealed for another delivered %d times, want it never", n)
		}
	})
}

// As the nodes of 6.2.0 are by default, nothing goes through them.
//
// feature: DHT: without forwarding they relay nothing, and nobody is banned
func TestTheyRelayNothing(t *testing.T) {
	t.Parallel()
	const release = "6.2.0"
	// One task: a message is done with when the next is delivered.
	a, c, p := startMember(t, gamelan.DHTConfig{}), startMember(t, gamelan.DHTConfig{}), startTariDHT(t, release, "--dht-tasks", "1")
	reach(t, a, p, weDial)
	reach(t, c, p, weDial)
	defer wantNoBans(t, []*member{a, c}, []*tari{p})
	a.mustSend(dht.Message{To: dht.Propagate{To: c.PublicKey()}, Body: []byte("sealed"), Encrypt: true}, 1)
	a.mustSend(dht.Message{To: dht.Direct{Peer: p.id}, Body: []byte("after it")}, 1)
	p.delivery("after it")
	key := c.PublicKey()
	p.mustPost(letter{to: "key", key: &key, messageType: domainType}, "last")
	c.delivery("last")
	if got := c.seen.from(p.id); len(got) != 1 {
		t.Errorf("got %+v through the middle, want only its own message", got)
	}
}

// We relay what Tari nodes have encrypted for each other, with tag and
// signature as they were and to nobody but the one it is for, and nothing that
// is clear. What is for somebody who is not there goes to everybody else, but not
// back.
//
// conforms: dht 16, 44, 68, 71, 74
// feature: DHT: we relay what they encrypted for another
func TestWeRelay(t *testing.T) {
	t.Parallel()
	against(t, func(t *testing.T, release string) {
		t.Parallel()
		m, bystander := startMember(t, gamelan.DHTConfig{}), startMember(t, gamelan.DHTConfig{})
		a, c := startTariDHT(t, release, "--dht-tasks", "1"), startTariDHT(t, release, "--dht-tasks", "1")
		reach(t, m, a, weDial)
		reach(t, m, c, theyDial)
		join(t, m, bystander)
		defer wantNoBans(t, []*member{m, bystander}, []*tari{a, c})
		for _, way := range []struct{ from, to *tari }{{a, c}, {c, a}} {
			way.from.mustPost(letter{to: "propagate", peer: way.to, messageType: domainType}, "clear")
			tag := way.from.mustPost(letter{to: "propagate", peer: way.to, seal: "encrypted", messageType: domainType}, "sealed").Copies[0].Tag
			d := way.to.delivery("sealed")
			if keyOf(d.Origin) != way.from.key || d.Source != m.ID() || !d.Encrypted || keyOf(d.Destination) != way.to.key || d.Tag != tag {
				t.Errorf("got %+v, want it from %s, brought by us, with the tag %d", d, way.from.key, tag)
			}
		}
		elsewhere := newSecret(t).PublicKey()
		a.mustPost(letter{to: "propagate", key: &elsewhere, reader: &elsewhere, seal: "encrypted", messageType: domainType}, "for elsewhere")
		gamelantest.Eventually(t, connectLimit, "what is for elsewhere", func() bool { return len(bystander.seen.from(m.ID())) == 1 })
		hash := bystander.seen.from(m.ID())[0].hash
		m.mustSend(dht.Message{To: dht.Flood{}, Body: []byte("last")}, 3)
		for _, p := range []*tari{a, c} {
			p.delivery("last")
			if p.times("sealed") != 1 || p.times("clear") != 0 {
				t.Errorf("got the sealed message %d times, the clear one %d, want 1 and 0", p.times("sealed"), p.times("clear"))
			}
			// The author counts his own.
			if n := p.hits(hash[:]); n != 1 {
				t.Errorf("got what is for elsewhere %d times, want 1", n)
			}
		}
		bystander.delivery("last")
		if got := bystander.seen.from(m.ID()); len(got) != 2 {
			t.Errorf("got %+v at one whom it does not concern, want two messages", got)
		}
		if n := m.times("sealed"); n != 0 {
			t.Errorf("in the middle: got what was sealed for another delivered %d times, want it never", n)
		}
	})
}

// What is encrypted for somebody goes through a chain of both kinds and both
// releases.
//
// conforms: dht 26, 44, 74
// feature: DHT: through a chain of nodes of both kinds and releases
func TestRelayedInAChain(t *testing.T) {
	t.Parallel()
	against(t, func(t *testing.T, release string) {
		t.Parallel()
		other := releases[0]
		if other == release {
			other = releases[1]
		}
		a, m, c := startMember(t, gamelan.DHTConfig{}), startMember(t, gamelan.DHTConfig{}), startMember(t, gamelan.DHTConfig{})
		p, q := startTariDHT(t, release, forwards(release)...), startTariDHT(t, other, forwards(other)...)
		reach(t, a, p, weDial) // a – p – m – q – c
		reach(t, m, p, weDial)
		reach(t, m, q, weDial)
		reach(t, c, q, weDial)
		defer wantNoBans(t, []*member{a, m, c}, []*tari{p, q})
		for _, way := range []struct {
			from, to *member
			by       identity.NodeID
		}{{a, c, q.id}, {c, a, p.id}} {
			sent := way.from.mustSend(dht.Message{To: dht.Propagate{To: way.to.PublicKey()}, Body: []byte("sealed"), Encrypt: true}, 1)
			d := way.to.delivery("sealed")
			if d.From != way.from.PublicKey() || d.Peer != way.by || d.Tag != sent.Tag {
				t.Errorf("got %+v, want it from %s, brought by %s, with the tag %d", d, way.from.PublicKey(), way.by, sent.Tag)
			}
		}
	})
}
