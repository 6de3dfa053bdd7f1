package envelopes

import (
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// memberOnLoopback starts a member with real sockets.
func memberOnLoopback(t *testing.T, cfg gamelan.DHTConfig, opts ...gamelan.Option) kit.Member {
	t.Helper()
	heard := gamelantest.NewCollector()
	opts = append(opts, gamelan.WithType(kit.TextType, func(n *gamelan.Node) actor.Actor {
		if cfg.Occurrences > 1 {
			return kit.NewGossiper(n, heard)
		}
		return heard.New(n)
	}))
	return kit.Member{Node: kit.StartOnLoopbackWith(t, gamelan.Config{DHT: &cfg}, opts...), Heard: heard}
}

// sniffedOnLoopback is memberOnLoopback for a member whose messages of the application are
// counted: in a slow test Joins come, too.
func sniffedOnLoopback(t *testing.T) (kit.Member, *kit.Sniffer) {
	s := &kit.Sniffer{From: make(map[identity.NodeID]int)}
	layer := func(next dht.Handler) dht.Handler {
		counts := s.Layer(next)
		return func(m *dht.Incoming) dht.Verdict {
			if m.Envelope.Header.Type == wire.TypeDomain {
				return counts(m)
			}
			return next(m)
		}
	}
	return memberOnLoopback(t, gamelan.DHTConfig{}, gamelan.WithLayer(dht.BeforeVerify, layer)), s
}

// settle is how long a test waits for messages that must not come.
const settle = 500 * time.Millisecond

// TestPropagateDedupOverTCP: what A sends for D over B and C reaches D once, by C, and nothing
// comes back from D.
//
// conforms: dht 141
func TestPropagateDedupOverTCP(t *testing.T) {
	a, toA := sniffedOnLoopback(t)
	b, toB := sniffedOnLoopback(t)
	c, toC := sniffedOnLoopback(t)
	d, toD := sniffedOnLoopback(t)
	for _, pair := range [][2]kit.Member{{a, b}, {a, c}, {b, c}, {c, d}} {
		kit.DialOnLoopback(t, pair[0].Node, pair[1].Node)
	}
	kit.Send(t, a, dht.Message{To: dht.Propagate{To: d.PublicKey()}, Type: kit.TextType, Body: []byte("for d"), Encrypt: true})
	gamelantest.Eventually(t, kit.Patience, "both copies to reach C, and one D", func() bool { return toC.Total() == 2 && d.Heard.Len() == 1 })
	time.Sleep(settle)
	kit.WantBodies(t, "d", d.Heard.Bodies(), []string{"for d"})
	if toD.Total() != 1 || toD.Of(c.ID()) != 1 || toC.Of(d.ID()) != 0 {
		t.Errorf("d got %d copies, %d from c, and sent c %d, want one from c and none back", toD.Total(), toD.Of(c.ID()), toC.Of(d.ID()))
	}
	if toC.Total() != 2 || toB.Total() < 1 || toB.Total() > 2 || toA.Total() > 1 {
		t.Errorf("got %d copies at c, %d at b, %d at a, want 2, 1 or 2, at most 1", toC.Total(), toB.Total(), toA.Total())
	}
}

// TestTamperedCopyOverTCP: B alters the header or the body of what A has signed, and C bans it
// for that and takes the genuine message from somebody else.
//
// conforms: dht 141
func TestTamperedCopyOverTCP(t *testing.T) {
	for name, change := range map[string]func(*wire.Envelope){
		"header": func(e *wire.Envelope) { e.Header.Type = wire.TypeStoredMessages },
		"body":   func(e *wire.Envelope) { e.Body = append(e.Body, wire.AppendBody(nil, []byte("and B"))...) },
	} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			var genuine []byte
			sees := func(next dht.Handler) dht.Handler {
				return func(m *dht.Incoming) dht.Verdict {
					if m.Envelope.Header.Type == wire.TypeDomain {
						mu.Lock()
						genuine = m.Envelope.Append(nil)
						mu.Unlock()
					}
					return next(m)
				}
			}
			a := memberOnLoopback(t, gamelan.DHTConfig{})
			b := memberOnLoopback(t, gamelan.DHTConfig{}, gamelan.WithLayer(dht.BeforeVerify, sees))
			c, honest := memberOnLoopback(t, gamelan.DHTConfig{}), memberOnLoopback(t, gamelan.DHTConfig{})
			kit.DialOnLoopback(t, a.Node, b.Node)
			kit.DialOnLoopback(t, b.Node, c.Node)
			kit.DialOnLoopback(t, honest.Node, c.Node)
			kit.Send(t, a, dht.Message{To: dht.Direct{Peer: b.ID()}, Type: kit.TextType, Body: []byte("by a"), Sign: true})
			gamelantest.Eventually(t, kit.Patience, "B to hear A", func() bool { return b.Heard.Len() == 1 })
			mu.Lock()
			bytes := append([]byte(nil), genuine...)
			mu.Unlock()
			e, err := wire.DecodeEnvelope(append([]byte(nil), bytes...))
			if err != nil {
				t.Fatal(err)
			}
			change(&e)
			kit.Post(t, b.Node, c.Node, e)
			gamelantest.Eventually(t, kit.Patience, "C to ban B", func() bool {
				_, _, banned := c.Peers().Banned(b.ID())
				return banned
			})
			kit.PostBytes(t, honest.Node, c.Node, bytes)
			gamelantest.Eventually(t, kit.Patience, "C to hear the message", func() bool { return c.Heard.Len() > 0 })
			if got := c.Heard.Delivered(); len(got) != 1 || got[0].From != a.PublicKey() || got[0].Peer != honest.ID() {
				t.Errorf("c heard %+v, want the message by a once", got)
			}
			if _, _, banned := c.Peers().Banned(honest.ID()); banned {
				t.Error("the one who relayed the genuine message is banned")
			}
		})
	}
}

// TestRepropagateOverTCP: three nodes let a message through three times, and each of them sends
// it on so often.
//
// conforms: dht 141
func TestRepropagateOverTCP(t *testing.T) {
	var all []kit.Member
	for range 3 {
		all = append(all, memberOnLoopback(t, gamelan.DHTConfig{Occurrences: 3}))
	}
	for i, m := range all {
		kit.DialOnLoopback(t, m.Node, all[(i+1)%3].Node)
	}
	kit.Send(t, all[0], kit.LetterTo(dht.Propagate{}, "again and again"))
	gamelantest.Eventually(t, kit.Patience, "everybody to hear it three times, its own included", func() bool {
		return all[0].Heard.Len() >= 2 && all[1].Heard.Len() >= 3 && all[2].Heard.Len() >= 3
	})
	time.Sleep(settle)
	for i, want := range []int{2, 3, 3} {
		if got := all[i].Heard.Len(); got != want {
			t.Errorf("node %d heard it %d times, want %d", i, got, want)
		}
	}
}
