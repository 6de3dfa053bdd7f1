package interop

import (
	"crypto/rand"
	"slices"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/messengers"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// startBytes starts a node of ours that sends any bytes as messages of the DHT and
// passes nothing on.
func startBytes(t *testing.T) *member {
	t.Helper()
	return &member{ours: startOurs(t, gamelan.Config{
		Floor: gamelan.NoFloor, DHT: &gamelan.DHTConfig{NoForwarding: true},
		StoreForward: gamelan.StoreForwardConfig{NoRequests: true},
	})}
}

// sendBytes sends a frame as it is.
func (m *member) sendBytes(to identity.NodeID, frame []byte) {
	m.t.Helper()
	if out := m.submitBytes(to, frame); out.Kind != protocol.Confirmed {
		m.t.Fatalf("send %d bytes: got %v, want them confirmed", len(frame), out)
	}
}

// submitBytes is sendBytes for a frame for which the peer may end the connection.
func (m *member) submitBytes(to identity.NodeID, frame []byte) protocol.Outcome {
	m.t.Helper()
	done := make(chan protocol.Outcome, 1)
	b := messengers.SendBody{Peer: to, Body: frame}
	_, err := nodetest.Trunk(m).Frames().Send(m.t.Context(), b, func(o protocol.Outcome) { done <- o })
	if err != nil {
		m.t.Fatal(err)
	}
	return <-done
}

// composed is a message as its author makes it, whoever sends it.
func composed(t *testing.T, author *identity.Secret, d wire.Draft) wire.Envelope {
	t.Helper()
	d.Expires = uint64(time.Now().Add(time.Hour).Unix())
	e, err := wire.Compose(d, author, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// domainBody are the parts of a message for the application.
func domainBody(messageType int32, nonce uint64, body string) []byte {
	return wire.AppendBody(nil, wire.DomainHeader{Type: messageType, Nonce: nonce}.Append(nil), []byte(body))
}

// A signed frame that comes again, also from another node and with another tag, is
// delivered once at both kinds of nodes, by the key of its author; so is gossip
// that anybody sends again.
//
// conforms: dht 15, 46
// feature: DHT: what is repeated is delivered once
func TestDHTRepeats(t *testing.T) {
	t.Parallel()
	against(t, func(t *testing.T, release string) {
		t.Parallel()
		m, x, y := startMember(t, gamelan.DHTConfig{}), startBytes(t), startBytes(t)
		p := startTariDHT(t, release, "--dht-tasks", "1")
		for _, n := range []*member{m, x, y} {
			reach(t, n, p, weDial)
		}
		join(t, x, m)
		join(t, y, m)
		defer wantNoBans(t, []*member{m, x, y}, []*tari{p})
		author := newSecret(t)
		e := composed(t, author, wire.Draft{Body: domainBody(domainType, 0, "again"), Sign: true, Tag: 1})
		again := e
		again.Header.Tag = 2
		for _, to := range []identity.NodeID{m.ID(), p.id} {
			x.sendBytes(to, e.Append(nil))
			x.sendBytes(to, e.Append(nil))
			x.sendBytes(to, again.Append(nil))
			x.sendBytes(to, again.Append(nil)[:10]) // and one that is cut off
		}
		p.delivery("again")
		m.delivery("again")
		for _, to := range []identity.NodeID{m.ID(), p.id} {
			y.sendBytes(to, e.Append(nil))
		}
		if d := m.delivery("again"); d.From != author.PublicKey() || d.Peer != x.ID() || d.Tag != 1 {
			t.Errorf("at ours: got %+v, want it from %s, the first", d, author.PublicKey())
		}
		d := p.delivery("again")
		if keyOf(d.Origin) != author.PublicKey() || d.Source != x.ID() || d.Tag != 1 {
			t.Errorf("at theirs: got %+v, want it from %s, the first", d, author.PublicKey())
		}
		if want := e.DedupHash(); !slices.Equal(d.Hash, want[:]) {
			t.Errorf("got the hash %x, want %x", []byte(d.Hash), want)
		}
		gamelantest.Eventually(t, connectLimit, "all copies at theirs", func() bool { return p.hits(d.Hash) == 4 })

		gossip := letter{to: "flood", messageType: domainType, exclude: []identity.PublicKey{x.PublicKey(), y.PublicKey()}}
		for range 3 {
			p.mustPost(gossip, "their gossip")
			m.mustSend(dht.Message{To: dht.Selected{Peers: []identity.NodeID{p.id}}, Body: []byte("our gossip")}, 1)
		}
		gamelantest.Eventually(t, connectLimit, "all of our gossip at theirs", func() bool { return p.hits(p.delivery("our gossip").Hash) == 3 })
		key := m.PublicKey()
		p.mustPost(letter{to: "key", key: &key, messageType: domainType}, "last")
		m.delivery("last")
		if n := len(m.seen.from(p.id)); n != 4 {
			t.Errorf("got %d messages of theirs, want 4", n)
		}
		for what, n := range map[string]int{
			"the frame at ours": m.times("again"), "the frame at theirs": p.times("again"),
			"their gossip": m.times("their gossip"), "our gossip": p.times("our gossip"),
		} {
			if n != 1 {
				t.Errorf("%s: got it delivered %d times, want once", what, n)
			}
		}
	})
}

// Gossip that comes back to the one who sent it first is dropped there.
//
// conforms: dht 54
// feature: DHT: gossip that comes back to its author is dropped
func TestDHTEcho(t *testing.T) {
	t.Parallel()
	against(t, func(t *testing.T, release string) {
		t.Parallel()
		// Two others: what goes to a single peer is gossip as well.
		m, other, p := startMember(t, gamelan.DHTConfig{}), startMember(t, gamelan.DHTConfig{}), startTariDHT(t, release, "--dht-tasks", "1")
		reach(t, m, p, weDial)
		reach(t, other, p, weDial)
		join(t, m, other)
		defer wantNoBans(t, []*member{m, other}, []*tari{p})
		for _, by := range []struct {
			name   string
			our    dht.Strategy
			letter letter
		}{
			{"flood", dht.Flood{}, letter{to: "flood"}},
			{"broadcast", dht.Broadcast{}, letter{to: "broadcast"}},
			{"propagate", dht.Propagate{}, letter{to: "propagate"}},
		} {
			by.letter.messageType = domainType
			ours, theirs := "ours by "+by.name, "theirs by "+by.name
			m.mustSend(dht.Message{To: by.our, Body: []byte(ours)}, 2)
			p.delivery(ours)
			before := len(m.seen.from(p.id))
			if r, err := p.post(by.letter, []byte(ours)); err != nil || r.Queued != 2 {
				t.Errorf("%s: they send it again: got %+v, %v, want two copies", ours, r, err)
			}
			gamelantest.Eventually(t, connectLimit, "our own message back", func() bool { return len(m.seen.from(p.id)) > before })
			if r, err := p.post(by.letter, []byte(theirs)); err != nil || r.Queued != 2 {
				t.Errorf("%s: got %+v, %v, want two copies", theirs, r, err)
			}
			m.delivery(theirs) // also behind our own message
			m.mustSend(dht.Message{To: by.our, Body: []byte(theirs)}, 2)
			m.mustSend(dht.Message{To: dht.Direct{Peer: p.id}, Body: []byte("last by " + by.name)}, 1)
			p.delivery("last by " + by.name)
			for what, n := range map[string]int{"our own message": m.times(ours), "their own": p.times(theirs)} {
				if n != 0 {
					t.Errorf("%s: got %s delivered %d times, want never", by.name, what, n)
				}
			}
			for what, n := range map[string]int{
				"ours at theirs": p.times(ours), "theirs at ours": m.times(theirs),
				"ours at the other": other.times(ours), "theirs at the other": other.times(theirs),
			} {
				if n != 1 {
					t.Errorf("%s: got %s delivered %d times, want once", by.name, what, n)
				}
			}
		}
	})
}

// The copies of one message that come over two ways are one message, at a node of
// ours as at one of Tari's; those of rc.5 carry a tag each.
//
// conforms: dht 15, 16, 148
// feature: DHT: copies over two ways are one message
// note: 1.0.0-rc.5: gives each copy a tag of its own
func TestDHTTwoWays(t *testing.T) {
	t.Parallel()
	against(t, func(t *testing.T, release string) {
		t.Parallel()
		a, b, c := startMember(t, gamelan.DHTConfig{}), startMember(t, gamelan.DHTConfig{}), startMember(t, gamelan.DHTConfig{})
		p, q := startTariDHT(t, release), startTariDHT(t, release, "--dht-tasks", "1")
		for _, m := range []*member{a, b} { // p – a, b – c, q
			reach(t, m, p, weDial)
			reach(t, m, q, weDial)
			join(t, m, c)
		}
		defer wantNoBans(t, []*member{a, b, c}, []*tari{p, q})
		key := c.PublicKey()
		r, err := p.post(letter{to: "propagate", key: &key, reader: &key, seal: "encrypted", messageType: domainType}, []byte("twice"))
		if err != nil || r.Queued != 2 {
			t.Fatalf("got %+v, %v, want two copies", r, err)
		}
		r2, err := p.post(letter{to: "propagate", peer: q, seal: "encrypted", messageType: domainType}, []byte("twice"))
		if err != nil || r2.Queued != 2 {
			t.Fatalf("got %+v, %v, want two copies", r2, err)
		}
		var came []uint64
		gamelantest.Eventually(t, connectLimit, "both copies at ours", func() bool {
			came = nil
			for _, m := range []*member{a, b} {
				for _, f := range c.seen.from(m.ID()) {
					came = append(came, f.tag)
				}
			}
			return len(came) == 2
		})
		sent := []uint64{r.Copies[0].Tag, r.Copies[1].Tag}
		slices.Sort(sent)
		slices.Sort(came)
		if !slices.Equal(came, sent) || (sent[0] != sent[1]) != (release == "1.0.0-rc.5") {
			t.Errorf("got the tags %v, want %v, and two of them only with rc.5", came, sent)
		}
		if d := c.delivery("twice"); d.From != p.key {
			t.Errorf("got %+v, want it from %s", d, p.key)
		}
		d := q.delivery("twice")
		gamelantest.Eventually(t, connectLimit, "both copies at theirs", func() bool { return q.hits(d.Hash) == 2 })
		for i, m := range []*member{a, b} {
			last := []string{"last of a", "last of b"}[i]
			m.mustSend(dht.Message{To: dht.Selected{Peers: []identity.NodeID{c.ID(), q.id}}, Body: []byte(last)}, 2)
			c.delivery(last)
			q.delivery(last)
		}
		if c.times("twice") != 1 || q.times("twice") != 1 {
			t.Errorf("got it delivered %d times at ours, %d at theirs, want once each", c.times("twice"), q.times("twice"))
		}
	})
}
