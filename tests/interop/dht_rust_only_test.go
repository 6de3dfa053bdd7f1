package interop

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
)

// domainType is that of the messages in these tests: no type of Tari's own.
const domainType = 1001

// Tari's nodes among themselves show what the tests of our DHT can rely on: how
// each strategy and seal arrives, that a node in the middle relays what is
// encrypted for another, and that a repeat is dropped.
//
// feature: the DHT of their nodes among themselves
func TestTariDHTRustOnly(t *testing.T) {
	t.Run("strategies", func(t *testing.T) {
		for _, from := range releases {
			for _, to := range releases {
				t.Run(from+" to "+to, func(t *testing.T) {
					t.Parallel()
					theirStrategies(t, from, to)
				})
			}
		}
	})
	t.Run("through the middle", func(t *testing.T) {
		against(t, func(t *testing.T, middle string) {
			t.Parallel()
			theirMiddle(t, middle)
		})
	})
	t.Run("6.2.0 passes nothing on by default", func(t *testing.T) {
		t.Parallel()
		theirMiddleKeeps(t)
	})
	t.Run("repeats", func(t *testing.T) {
		against(t, func(t *testing.T, release string) {
			t.Parallel()
			theirRepeats(t, release)
		})
	})
}

func theirStrategies(t *testing.T, from, to string) {
	a, b := startTariDHT(t, from), startTariDHT(t, to)
	meet(t, a, b)
	for _, c := range []struct {
		name   string
		letter letter
		gossip bool // sent with the nonce 0, so that equal messages are one
	}{
		{"key", letter{to: "key", peer: b}, false},
		{"node", letter{to: "node", peer: b}, false},
		{"selected", letter{to: "selected", peers: []identity.PublicKey{b.key}}, true},
		{"broadcast", letter{to: "broadcast"}, true},
		{"flood", letter{to: "flood"}, true},
		{"random", letter{to: "random", n: 3}, true},
		{"closest", letter{to: "closest", peer: b}, true},
		{"closest connected", letter{to: "closest_connected", peer: b}, true},
		{"propagate to a key", letter{to: "propagate", peer: b}, true},
		{"propagate", letter{to: "propagate"}, true},
	} {
		for _, seal := range []string{"clear", "signed", "encrypted"} {
			body := c.name + " " + seal
			l := c.letter
			l.seal, l.messageType = seal, domainType
			if seal == "encrypted" {
				l.reader = &b.key
			}
			if strings.HasPrefix(c.name, "closest") && from == "6.2.0" {
				if r, err := a.post(l, []byte(body)); err == nil {
					t.Errorf("%s: got %+v, want an error: this release has no such strategy", body, r)
				}
				continue
			}
			began := time.Now()
			a.mustPost(l, body)
			d := b.delivery(body)
			if d.Source != a.id || d.Type != domainType || d.DHTType != 0 || d.Hits != 1 || len(d.Hash) != 32 || d.Stored {
				t.Errorf("%s: got %+v, want a message of type %d from %s for the first time", body, d, domainType, a.id)
			}
			if signed := seal != "clear"; signed != (d.Origin != nil) || signed && *d.Origin != a.key {
				t.Errorf("%s: got the origin %v, want %v only if signed", body, d.Origin, a.key)
			}
			if encrypted := seal == "encrypted"; d.Encrypted != encrypted || encrypted != (d.Destination != nil) || encrypted && *d.Destination != b.key {
				t.Errorf("%s: got encrypted %v for %v, want encrypted ones for %v", body, d.Encrypted, d.Destination, b.key)
			}
			if c.gossip != (d.Nonce == 0) {
				t.Errorf("%s: got the nonce %d, want 0 for gossip only", body, d.Nonce)
			}
			const validity = 3 * 3600
			if d.Expires < uint64(began.Unix()+validity) || d.Expires > uint64(time.Now().Unix()+validity) {
				t.Errorf("%s: got an expiry at %d, want 3 h after it was sent at %d", body, d.Expires, began.Unix())
			}
		}
	}
	if r, err := a.post(letter{to: "key", peer: a, messageType: domainType}, []byte("own")); err != nil || r.Queued != 0 || !strings.Contains(r.Refused, "ourselves") {
		t.Errorf("to itself: got %+v, %v, want it refused", r, err)
	}
	if bans := slices.Concat(a.bans(), b.bans()); len(bans) > 0 {
		t.Errorf("got bans of %v, want none", bans)
	}
}

// What is encrypted for a node that only the one in the middle is connected to
// gets there, with its origin.
func theirMiddle(t *testing.T, middle string) {
	a, m, b := startTariDHT(t, "6.2.0"), startTariDHT(t, middle, forwards(middle)...), startTariDHT(t, "1.0.0-rc.5")
	meet(t, a, m)
	meet(t, m, b)
	for _, way := range []struct{ from, to *tari }{{a, b}, {b, a}} {
		body := fmt.Sprintf("from %s through %s", way.from.release, middle)
		way.from.mustPost(letter{to: "propagate", peer: way.to, seal: "encrypted", messageType: domainType}, body)
		d := way.to.delivery(body)
		if d.Source != m.id || d.Origin == nil || *d.Origin != way.from.key || *d.Destination != way.to.key {
			t.Errorf("%s: got %+v, want the origin %s, from %s", body, d, way.from.key, m.id)
		}
	}
	if got := m.delivered(); len(got) > 0 {
		t.Errorf("in the middle: got %+v, want nothing delivered", got)
	}
}

func theirMiddleKeeps(t *testing.T) {
	// One task: a message is done with when the next is delivered.
	a, m, b := startTariDHT(t, "6.2.0", "--dht-tasks", "1"), startTariDHT(t, "6.2.0", "--dht-tasks", "1"), startTariDHT(t, "1.0.0-rc.5")
	meet(t, a, m)
	meet(t, m, b)
	a.mustPost(letter{to: "propagate", peer: b, seal: "encrypted", messageType: domainType}, "kept")
	a.mustPost(letter{to: "key", peer: m, messageType: domainType}, "after it")
	m.delivery("after it")
	m.mustPost(letter{to: "key", peer: b, messageType: domainType}, "last")
	b.delivery("last")
	if n := b.times("kept"); n != 0 {
		t.Errorf("got it %d times through the middle, want it kept", n)
	}
}

// Gossip with equal bytes is one message, delivered as often as the node is told
// to; what is signed anew is another. With one task at a time many arrive in
// order.
func theirRepeats(t *testing.T, release string) {
	const tasks, one = "--dht-tasks", "1"
	a, b, c := startTariDHT(t, release, tasks, one), startTariDHT(t, release, tasks, one), startTariDHT(t, release, tasks, one, "--dht-occurrences", "2")
	meet(t, a, b)
	meet(t, a, c)
	gossip := letter{to: "flood", messageType: domainType}
	for range 3 {
		if r, err := a.post(gossip, []byte("again")); err != nil || r.Queued != 2 {
			t.Fatalf("got %+v, %v, want a copy for each of the two", r, err)
		}
	}
	for range 2 {
		a.mustPost(letter{to: "key", peer: b, seal: "signed", messageType: domainType}, "signed anew")
		a.mustPost(letter{to: "key", peer: c, messageType: domainType}, "with a nonce")
	}
	for _, p := range []*tari{b, c} {
		a.mustPost(letter{to: "key", peer: p, messageType: domainType}, "last")
		p.delivery("last")
	}
	for _, w := range []struct {
		p    *tari
		body string
		want int
	}{{b, "again", 1}, {c, "again", 2}, {b, "signed anew", 2}, {c, "with a nonce", 2}} {
		if n := w.p.times(w.body); n != w.want {
			t.Errorf("%q: got it delivered %d times, want %d", w.body, n, w.want)
		}
	}
	for _, p := range []*tari{b, c} {
		if n := p.hits(p.delivery("again").Hash); n != 3 {
			t.Errorf("got it counted %d times, want 3", n)
		}
	}
	b.must("clear", nil, nil)
	const count = 300
	if r, err := a.postBatch(letter{to: "key", peer: b, seal: "signed", messageType: domainType}, batch{count: count, size: 100}); err != nil || r.Sent != count {
		t.Fatalf("got %v, %v, want all %d sent", errFailed(r), err, count)
	}
	gamelantest.Eventually(t, connectLimit, "all of them delivered", func() bool { return b.received(a.key).Count >= count })
	there := b.received(a.key)
	there.wantAll(t, "in order", 0, count)
}
