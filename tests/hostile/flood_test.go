package hostile

import (
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// TestFloodOfIdentities has eleven identities send far more than the limit at
// once. Of each as much is judged as the limit allows, and the one that proves the
// flood; the rest is dropped unread. Who keeps to the limit is heard before, in
// between and afterwards.
//
// conforms: V 28
func TestFloodOfIdentities(t *testing.T) {
	const limit, identities, each = 100, 11, 5000
	gamelantest.Bubble(t, func(t *testing.T) {
		n, letters := overDHT(t, gamelan.DHTConfig{FloodLimit: limit, Shards: 2})
		honest := connect(t, n.net.Transport(), n.Addr, secretOf(500))
		honest.open(1, optimistic(messaging))
		write := func(text string) {
			e := letter(t, secretOf(500), text, time.Hour)
			honest.must(honest.Data(0, 1, framed(string(e.Append(nil)))))
		}
		var flood []*peer
		for i := range identities {
			p := connect(t, n.net.Transport(), n.Addr, secretOf(i))
			p.open(1, optimistic(messaging))
			flood = append(flood, p)
		}
		write("before")
		for _, p := range flood {
			p.must(p.Data(0, 1, strings.Repeat(framed(""), each)))
			p.Data(0, 1, strings.Repeat(framed("no envelope"), each)) // it may have ended by now
			write("between")
		}
		write("after")
		gamelantest.Eventually(t, time.Minute, "the honest messages", func() bool { return letters.Len() == identities+2 })
		for i := range flood {
			n.banned(secretOf(i).NodeID(), protocol.BanMedium)
		}
		if got := kit.FateOf(n.Node, dht.Undecodable); got != identities*(limit+1) {
			t.Errorf("got %d messages judged, want %d of each identity: %d", got, limit+1, identities*(limit+1))
		}
		n.banned(secretOf(500).NodeID(), 0)
		synctest.Wait()
		if used, _, _, _ := nodetest.Trunk(n).Credit(); used != 0 {
			t.Errorf("got %d bytes of credit held, want none", used)
		}
		if f := nodetest.DHT(n).Limits().Flood; f.Held != 0 || f.Unread == 0 || f.Unread > 32*identities {
			t.Errorf("got %+v, want no peer held back, and at most 32 messages of each dropped that were read", f)
		}
	})
}

// framedLetters are the frames of n letters of the first secret.
func framedLetters(t *testing.T, n int) string {
	var all strings.Builder
	for i := range n {
		e := letter(t, secretOf(1), fmt.Sprint(i), time.Hour)
		all.WriteString(framed(string(e.Append(nil))))
	}
	return all.String()
}

// TestFloodOfTakenMessages sends many times the limit of what a handler takes, as a
// peer that is at the limit: everything is heard at once.
func TestFloodOfTakenMessages(t *testing.T) {
	const limit, sent = 10, 300
	gamelantest.Bubble(t, func(t *testing.T) {
		n, letters := overDHT(t, gamelan.DHTConfig{FloodLimit: limit})
		p := connect(t, n.net.Transport(), n.Addr, secretOf(1))
		p.open(1, optimistic(messaging)+strings.Repeat(framed("nobody takes this"), limit))
		p.must(p.Data(0, 1, framedLetters(t, sent)))
		gamelantest.Eventually(t, time.Second, "all messages", func() bool { return letters.Len() == sent })
		n.banned(secretOf(1).NodeID(), 0)
	})
}

// TestFloodOfWhoIsAllowed floods, and floods again once it is on the allow list,
// which ends the ban: nothing is held up then.
func TestFloodOfWhoIsAllowed(t *testing.T) {
	const limit, sent = 10, 1000
	gamelantest.Bubble(t, func(t *testing.T) {
		n, _ := overDHT(t, gamelan.DHTConfig{FloodLimit: limit})
		flood := func() {
			p := connect(t, n.net.Transport(), n.Addr, secretOf(1))
			p.open(1, optimistic(messaging)+strings.Repeat(framed("nobody takes this"), sent))
		}
		flood()
		n.banned(secretOf(1).NodeID(), protocol.BanMedium)
		time.Sleep(time.Second) // the reader has seen the end of the connection and dropped the rest
		if err := n.Peers().Allow(t.Context(), secretOf(1).NodeID()); err != nil {
			t.Fatal(err)
		}
		flood()
		gamelantest.Eventually(t, time.Second, "all messages", func() bool { return kit.FateOf(n.Node, dht.Undecodable) == limit+1+sent })
		n.banned(secretOf(1).NodeID(), 0)
	})
}

// TestFloodOfWhoIsUnbanned floods and is unbanned within the minute: it is read at
// once, and may send as much as anybody.
//
// conforms: V 28
func TestFloodOfWhoIsUnbanned(t *testing.T) {
	const limit, sent = 10, 1000
	gamelantest.Bubble(t, func(t *testing.T) {
		n, letters := overDHT(t, gamelan.DHTConfig{FloodLimit: limit})
		p := connect(t, n.net.Transport(), n.Addr, secretOf(1))
		p.open(1, optimistic(messaging)+strings.Repeat(framed("nobody takes this"), sent))
		n.banned(secretOf(1).NodeID(), protocol.BanMedium)
		if err := n.Peers().Unban(t.Context(), secretOf(1).NodeID()); err != nil {
			t.Fatal(err)
		}
		p = connect(t, n.net.Transport(), n.Addr, secretOf(1))
		p.open(1, optimistic(messaging)+strings.Repeat(framed("nobody takes this"), limit)+framedLetters(t, 1))
		gamelantest.Eventually(t, time.Second, "the message", func() bool { return letters.Len() == 1 })
		n.banned(secretOf(1).NodeID(), 0)
	})
}

// relayed is a signed message for a stranger, like any other but for its number.
func relayed(t *testing.T, number int) string {
	t.Helper()
	stranger := secretOf(700).PublicKey()
	e, err := wire.Compose(wire.Draft{
		Destination: wire.To(stranger), EncryptFor: stranger, Expires: uint64(time.Now().Add(time.Hour).Unix()),
		Body: wire.AppendBody(nil, wire.DomainHeader{Type: letterType, Nonce: uint64(1000 + number)}.Append(nil), make([]byte, 1000)),
	}, secretOf(701), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return string(e.Append(nil))
}

// TestRelayedBytesOfOneSource has identities of one source send messages for
// others, all of them signed and new: together they have so many bytes relayed
// as the limit says. Another source has its own, an exempt one has so for each
// peer, and nobody is banned.
//
// conforms: V 28
func TestRelayedBytesOfOneSource(t *testing.T) {
	const identities, each, fit = 6, 10, 25
	size := int64(len(relayed(t, 0)))
	cfg := gamelan.Config{DHT: &gamelan.DHTConfig{RelayBytes: fit*size + size/2, Shards: 3}}
	placing(t, cfg, func(t *testing.T, n *target, tr *placed) {
		next := 0
		sends := func(from string, identity, messages int) {
			t.Helper()
			tr.place(from)
			p := connect(t, n.net.Transport(), n.Addr, secretOf(identity))
			p.open(1, optimistic(messaging))
			for range messages {
				text := relayed(t, next)
				if next++; int64(len(text)) != size {
					t.Fatalf("got a message of %d bytes, want %d like the first", len(text), size)
				}
				p.must(p.Data(0, 1, framed(text)))
			}
			p.flushed()
			synctest.Wait()
		}
		ended := func(what string, passed, refused uint64) {
			t.Helper()
			if got := [2]uint64{kit.FateOf(n.Node, dht.ForOthers), kit.FateOf(n.Node, dht.OverRelayBytes)}; got != [2]uint64{passed, refused} {
				t.Errorf("%s: got %d relayed and %d not, want %d and %d", what, got[0], got[1], passed, refused)
			}
		}
		for i := range identities {
			sends("/ip4/6.6.6.6", i, each)
		}
		ended("one source", fit, identities*each-fit)
		sends("/ip4/8.8.8.8", 100, each)
		ended("another", fit+each, identities*each-fit)
		for i := range 2 {
			sends("/ip4/127.0.0.1", 200+i, fit+1)
		}
		ended("exempt ones", fit+each+2*fit, identities*each-fit+2)
		time.Sleep(time.Minute)
		sends("/ip4/6.6.6.6", 300, each)
		ended("a minute later", fit+each+2*fit+each, identities*each-fit+2)
		for _, i := range []int{0, 100, 200, 300} {
			n.banned(secretOf(i).NodeID(), 0)
		}
	})
}

// TestRelayedBytesOfWhoHangsUp has identities of one source send messages for others
// and hang up before they are judged: they count by their source all the same.
//
// conforms: V 28
func TestRelayedBytesOfWhoHangsUp(t *testing.T) {
	const identities, each, fit = 6, 10, 25
	size := int64(len(relayed(t, 0)))
	cfg := gamelan.Config{DHT: &gamelan.DHTConfig{RelayBytes: fit*size + size/2, Shards: 3}}
	placing(t, cfg, func(t *testing.T, n *target, tr *placed) {
		tr.place("/ip4/6.6.6.6")
		for i := range identities {
			p := connect(t, n.net.Transport(), n.Addr, secretOf(i))
			var all strings.Builder
			for k := range each {
				all.WriteString(framed(relayed(t, i*each+k)))
			}
			p.open(1, optimistic(messaging)+all.String())
			p.raw.Close()
			synctest.Wait()
		}
		if got := kit.FateOf(n.Node, dht.ForOthers) + kit.FateOf(n.Node, dht.OverRelayBytes); got != identities*each {
			t.Errorf("got %d messages judged, want %d", got, identities*each)
		}
		if got := kit.FateOf(n.Node, dht.ForOthers); got != fit {
			t.Errorf("got %d relayed, want %d", got, fit)
		}
	})
}

// TestFloodEndsWithConnection has a peer that is within the limit, or at it, send
// more messages that a handler takes than may be unjudged at a time, and hang up:
// all of them are heard.
func TestFloodEndsWithConnection(t *testing.T) {
	const limit, sent = 10, 300
	for _, untaken := range []int{0, limit} {
		gamelantest.Bubble(t, func(t *testing.T) {
			n, letters := overDHT(t, gamelan.DHTConfig{FloodLimit: limit})
			p := connect(t, n.net.Transport(), n.Addr, secretOf(1))
			p.open(1, optimistic(messaging)+strings.Repeat(framed("nobody takes this"), untaken))
			p.must(p.Data(0, 1, framedLetters(t, sent)))
			p.raw.Close()
			time.Sleep(time.Minute)
			synctest.Wait()
			if got := letters.Len(); got != sent {
				t.Errorf("after %d messages that nobody took: got %d messages heard, want %d", untaken, got, sent)
			}
			n.banned(secretOf(1).NodeID(), 0)
		})
	}
}
