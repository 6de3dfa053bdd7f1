package envelopes

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// TestBubblePropagateDedup: A and B both bring C what is for D; D gets it once,
// and nothing comes back from there.
//
// conforms: dht 44, 57, 71, 141
func TestBubblePropagateDedup(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, toA := kit.Sniffed(net)
		b, toB := kit.Sniffed(net)
		c, toC := kit.Sniffed(net)
		d, toD := kit.Sniffed(net)
		net.Connect(a.Node, b.Node)
		net.Connect(a.Node, c.Node)
		net.Connect(b.Node, c.Node)
		net.Connect(c.Node, d.Node)
		kit.WantAllConfirmed(t, "propagate", kit.Send(t, a, dht.Message{
			To: dht.Propagate{To: d.PublicKey()}, Type: kit.TextType, Body: []byte("for d"), Encrypt: true,
		}), 2)
		time.Sleep(time.Second)
		kit.WantBodies(t, "d", d.Heard.Bodies(), []string{"for d"})
		if toD.Total() != 1 || toD.Of(c.ID()) != 1 {
			t.Errorf("d got %d copies, %d from c, want one", toD.Total(), toD.Of(c.ID()))
		}
		if n := toC.Total(); n != 2 {
			t.Errorf("c got %d copies, want those of a and b", n)
		}
		if n := toB.Total(); n != 1 {
			t.Errorf("b got %d copies, want that of a: c relays it to d alone", n)
		}
		if n := toA.Total(); n != 0 {
			t.Errorf("a got %d copies back, want none", n)
		}
		if n := toC.Of(d.ID()); n != 0 {
			t.Errorf("c got %d copies from the destination, want none", n)
		}
		for _, m := range []kit.Member{b, c} {
			kit.WantBodies(t, "who relayed it", m.Heard.Bodies(), []string{})
		}
	})
}

// TestBubbleTamperedCopy: B changes what A has signed and is banned by C for it;
// the message itself is not lost by that.
//
// conforms: dht 40, 45, 141
func TestBubbleTamperedCopy(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*wire.Envelope)
	}{
		{"header", func(e *wire.Envelope) { e.Header.Type = wire.TypeStoredMessages }},
		{"body", func(e *wire.Envelope) { e.Body = append(e.Body, wire.AppendBody(nil, []byte("and B"))...) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				net := gamelantest.NewNetwork(t)
				var genuine []byte
				sees := func(next dht.Handler) dht.Handler {
					return func(m *dht.Incoming) dht.Verdict {
						genuine = m.Envelope.Append(nil)
						return next(m)
					}
				}
				a := kit.StartMember(net, gamelan.Config{}, kit.Quiet)
				b := net.Start(gamelan.Config{}, kit.Quiet, gamelan.WithLayer(dht.BeforeVerify, sees))
				c := kit.StartMember(net, gamelan.Config{}, kit.Quiet)
				honest := net.Start(gamelan.Config{}, kit.Quiet)
				net.Connect(a.Node, b)
				net.Connect(b, c.Node)
				net.Connect(honest, c.Node)
				kit.Send(t, a, dht.Message{To: dht.Direct{Peer: b.ID()}, Type: kit.TextType, Body: []byte("by a"), Sign: true})
				synctest.Wait()
				e, err := wire.DecodeEnvelope(genuine)
				if err != nil {
					t.Fatal(err)
				}
				e.Body = append([]byte(nil), e.Body...)
				test.change(&e)
				kit.Post(t, b, c.Node, e)
				time.Sleep(time.Second)
				if _, _, banned := c.Peers().Banned(b.ID()); !banned {
					t.Error("the one who changed the message is not banned")
				}
				kit.PostBytes(t, honest, c.Node, genuine)
				time.Sleep(time.Second)
				got := c.Heard.Delivered()
				if len(got) != 1 || got[0].From != a.PublicKey() || got[0].Peer != honest.ID() {
					t.Errorf("c heard %+v, want the message by a once", got)
				}
				if _, _, banned := c.Peers().Banned(honest.ID()); banned {
					t.Error("the one who relayed the genuine message is banned")
				}
			})
		})
	}
}

// TestBubbleRepropagate lets a message through three times: each node hears it so
// often, and sends it on each time, and then it is over.
//
// conforms: dht 46, 141
func TestBubbleRepropagate(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		var all []kit.Member
		for range 3 {
			heard := gamelantest.NewCollector()
			n := net.Start(gamelan.Config{DHT: &gamelan.DHTConfig{Occurrences: 3}},
				gamelan.WithType(kit.TextType, func(n *gamelan.Node) actor.Actor { return kit.NewGossiper(n, heard) }))
			all = append(all, kit.Member{Node: n, Heard: heard})
		}
		for i, m := range all {
			net.Connect(m.Node, all[(i+1)%3].Node)
		}
		kit.Send(t, all[0], kit.LetterTo(dht.Propagate{}, "again and again"))
		time.Sleep(10 * time.Second)
		for i, m := range all {
			copies := m.Heard.Delivered()
			want := 3
			if i == 0 { // its own is the first
				want = 2
			}
			if len(copies) != want {
				t.Errorf("node %d heard it %d times, want %d", i, len(copies), want)
			}
			for k, c := range copies {
				if first := 3 - want + 1; c.Copies != uint32(first+k) {
					t.Errorf("node %d, time %d: got copy %d", i, k, c.Copies)
				}
			}
		}
	})
}
