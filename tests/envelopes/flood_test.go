package envelopes

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// submit sends a message and does not wait.
func submit(t *testing.T, from kit.Member, m dht.Message) *gamelan.Pending[dht.Report] {
	t.Helper()
	s, err := from.DHT().Submit(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// pingPast pings as somebody would who does not keep to the API.
func pingPast(t *testing.T, from, to kit.Member, nonce uint64) {
	t.Helper()
	m := dht.Message{To: dht.Direct{Peer: to.ID()}, Type: dht.TypePing, Body: wire.Ping{Nonce: nonce}.Append(nil)}
	if _, err := nodetest.DHT(from).Send(t.Context(), m, nil, nil); err != nil {
		t.Fatal(err)
	}
}

// TestBubbleStuckIsNoFlood: that a handler here is stuck is no offence of those
// who write to it.
//
// conforms: V 13, 28
func TestBubbleStuckIsNoFlood(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a := kit.StartMember(net, gamelan.Config{})
		b := kit.StartMember(net, gamelan.Config{PeerCredit: 64 << 10, DHT: &gamelan.DHTConfig{FloodLimit: 50}})
		net.Connect(a.Node, b.Node)
		defer b.Heard.Block()()
		const n = 400
		for i := range n {
			submit(t, a, kit.LetterTo(dht.Direct{Peer: b.ID()}, fmt.Sprint(i)))
		}
		time.Sleep(20 * time.Second)
		synctest.Wait()
		kit.WantBanned(t, "who wrote", b, a, false)
		if got := kit.FateOf(b.Node, dht.HandlerStuck); got < 100 {
			t.Errorf("got %d dropped for the stuck handler, want more than the limit of a flood", got)
		}
	})
}

// TestBubblePingFlood: who floods a node with pings is answered now and then, and
// banned when it does not stop. Neither the ledger nor the credit of the node's own
// messages knows of it.
//
// conforms: dht 138; V 28
func TestBubblePingFlood(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		const limit, pings = 1500, 1000
		victim := kit.StartMember(net, gamelan.Config{NodeCredit: 8 << 20, DHT: &gamelan.DHTConfig{FloodLimit: limit}})
		evil := kit.StartMember(net, gamelan.Config{})
		friend := kit.StartMember(net, gamelan.Config{})
		net.Connect(evil.Node, victim.Node)
		net.Connect(victim.Node, friend.Node)
		flood := func() {
			for i := range pings {
				pingPast(t, evil, victim, uint64(i)+1)
			}
			time.Sleep(2 * time.Second)
			synctest.Wait()
		}
		flood()
		kit.WantBanned(t, "after so many pings", victim, evil, false)
		if n := kit.FateOf(evil.Node, dht.Delivered); n == 0 || n > dht.PongLimit {
			t.Errorf("got %d pongs, want 1 to %d", n, dht.PongLimit)
		}
		if n := len(victim.DHT().Sends()); n != 0 {
			t.Errorf("got %d sends in the ledger, want none", n)
		}
		if took, err := friend.DHT().Ping(t.Context(), victim.ID()); err != nil {
			t.Errorf("ping of a friend: got %v, %v", took, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		r, err := victim.DHT().Send(ctx, kit.LetterTo(dht.Direct{Peer: friend.ID()}, "hello"))
		if err != nil {
			t.Fatal(err)
		}
		kit.WantAllConfirmed(t, "to a friend", r, 1)
		flood()
		kit.WantBanned(t, "after more of them", victim, evil, true)
		kit.WantBanned(t, "the friend", victim, friend, false)
	})
}

// TestBubblePongOverRestart kills who sends pongs and who asks for them while one
// is on its way: the next ping is answered all the same.
func TestBubblePongOverRestart(t *testing.T) {
	for _, path := range []string{"dht/outbound", "dht/pinger"} {
		t.Run(path, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				net := gamelantest.NewNetwork(t)
				net.SetLink(kit.SlowLink)
				a := kit.StartMember(net, gamelan.Config{})
				b := kit.StartMember(net, gamelan.Config{}, kit.Quiet)
				net.Connect(a.Node, b.Node)
				pingPast(t, a, b, 1)
				for kit.FateOf(b.Node, dht.Delivered) == 0 {
					time.Sleep(time.Millisecond)
				}
				synctest.Wait()
				if kit.FateOf(a.Node, dht.Delivered) != 0 {
					t.Fatal("the pong is there already")
				}
				if !gamelantest.Crash(b.Node.Node, path, "killed by the test") {
					t.Fatal("no such actor")
				}
				synctest.Wait()
				if took, err := a.DHT().Ping(t.Context(), b.ID()); err != nil {
					t.Errorf("got %v, %v", took, err)
				}
			})
		})
	}
}

// TestBubbleRelayOfFloods has two nodes flood a third through one that relays
// their messages, each within the limit: the relay keeps what is beyond its own share
// back and is not banned for it.
//
// conforms: V 28
func TestBubbleRelayOfFloods(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		const limit = 100
		var all []kit.Member
		for range 4 {
			all = append(all, kit.StartMember(net, gamelan.Config{DHT: &gamelan.DHTConfig{FloodLimit: limit}}))
		}
		relay, victim := all[2], all[3]
		net.Connect(all[0].Node, relay.Node)
		net.Connect(all[1].Node, relay.Node)
		net.Connect(relay.Node, victim.Node)
		nobody := gamelantest.Secret(90).PublicKey()
		const each = 60
		for i := range each {
			for _, m := range all[:2] {
				kit.Send(t, m, dht.Message{
					To: dht.Selected{Peers: []identity.NodeID{relay.ID()}}, Destination: nobody, Encrypt: true, Type: kit.TextType, Body: []byte(fmt.Sprint(i)),
				})
			}
		}
		time.Sleep(2 * time.Second)
		kit.WantBanned(t, "who relayed it", victim, relay, false)
		kit.WantBanned(t, "who wrote it", relay, all[0], false)
		if got := kit.FateOf(victim.Node, dht.ForOthers); got != limit/2 {
			t.Errorf("got %d relayed, want %d: half of what is taken for a flood", got, limit/2)
		}
	})
}

// TestBubbleFloodBan has peers send what nobody here handles. Who exceeds the
// limit is banned for ten minutes and disconnected; who is allow-listed or held
// is not, nor who keeps to it, nor whose messages a handler took. Who sends a bad
// signature is banned for two hours.
//
// conforms: dht 129, 136; V 28
func TestBubbleFloodBan(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		heard := kit.NewLetters()
		const limit = 50
		start := func() *gamelantest.Node { return net.Start(gamelan.Config{DHT: &gamelan.DHTConfig{}}) }
		flooder, allowed, held, slow, wanted, forger := start(), start(), start(), start(), start(), start()
		to := net.Start(gamelan.Config{
			DHT:   &gamelan.DHTConfig{FloodLimit: limit},
			Allow: []string{allowed.ID().String()},
		}, kit.Quiet, gamelan.WithType(1000, heard.New))
		for _, n := range []*gamelantest.Node{flooder, allowed, held, slow, wanted, forger} {
			net.Connect(n, to)
		}
		release := to.Protect(held.ID(), "test")
		defer release()
		flood := func(from *gamelantest.Node, kind int32, n int) {
			for i := range n {
				kit.Post(t, from, to, kit.Letter(t, from, kind, fmt.Sprintf("%d at %v", i, time.Now()), kit.InClear))
			}
			time.Sleep(time.Second)
			synctest.Wait()
		}
		for range 3 {
			flood(slow, 4711, limit)
			time.Sleep(time.Minute)
		}
		flood(wanted, 1000, 10*limit)
		flood(allowed, 4711, 10*limit)
		flood(held, 4711, 10*limit)
		flood(flooder, 4711, limit+1)
		forged := kit.Letter(t, forger, 1000, "forged", to.PublicKey())
		forged.Body[0] ^= 1
		kit.Post(t, forger, to, forged)
		time.Sleep(time.Second)
		synctest.Wait()
		began := time.Now()
		for name, c := range map[string]struct {
			n   *gamelantest.Node
			ban time.Duration
			why string
		}{
			"at the limit": {n: slow}, "handled": {n: wanted}, "allow-listed": {n: allowed}, "held": {n: held},
			"above it":  {flooder, 10 * time.Minute, "flood"},
			"forgeries": {forger, 2 * time.Hour, "signature"},
		} {
			until, why, banned := to.Peers().Banned(c.n.ID())
			_, connected := nodetest.Trunk(to).Connections().Get(c.n.ID())
			if banned != (c.ban > 0) || connected == banned {
				t.Errorf("%s: got banned %v (%s), connected %v", name, banned, why, connected)
			}
			if left := until.Sub(began).Round(time.Minute); banned && (left != c.ban || !strings.Contains(why, c.why)) {
				t.Errorf("%s: got a ban of %v for %q, want one of %v for its %s", name, left, why, c.ban, c.why)
			}
		}
		time.Sleep(11 * time.Minute)
		net.Connect(flooder, to)
		flood(flooder, 1000, 1)
		if got := heard.Bodies(1000, flooder); len(got) != 1 {
			t.Errorf("after the ban: got %d messages, want one", len(got))
		}
	})
}
