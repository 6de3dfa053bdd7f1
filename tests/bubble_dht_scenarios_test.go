package tests

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
)

// sniffer counts the messages that reach a node, by the peer they come from.
type sniffer struct {
	mu   sync.Mutex
	from map[identity.NodeID]int
}

func (s *sniffer) layer(next dht.Handler) dht.Handler {
	return func(m *dht.Incoming) dht.Verdict {
		s.mu.Lock()
		s.from[m.Source]++
		s.mu.Unlock()
		return next(m)
	}
}

func (s *sniffer) total() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.from {
		n += k
	}
	return n
}

func (s *sniffer) of(peer identity.NodeID) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.from[peer]
}

// sniffed starts a node with the DHT whose messages are counted.
func sniffed(net *gamelantest.Network) (member, *sniffer) {
	s := &sniffer{from: make(map[identity.NodeID]int)}
	return startMember(net, gamelan.Config{}, gamelan.WithLayer(dht.BeforeVerify, s.layer)), s
}

// TestBubblePropagateDedup: A and B both bring C what is for D; D gets it once,
// and nothing comes back from there.
//
// conforms: dht 44, 57, 71, 141
func TestBubblePropagateDedup(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, toA := sniffed(net)
		b, toB := sniffed(net)
		c, toC := sniffed(net)
		d, toD := sniffed(net)
		net.Connect(a.Node, b.Node)
		net.Connect(a.Node, c.Node)
		net.Connect(b.Node, c.Node)
		net.Connect(c.Node, d.Node)
		wantAllConfirmed(t, "propagate", send(t, a, dht.Message{
			To: dht.Propagate{To: d.PublicKey()}, Type: textType, Body: []byte("for d"), Encrypt: true,
		}), 2)
		time.Sleep(time.Second)
		wantBodies(t, "d", d.heard.Bodies(), []string{"for d"})
		if toD.total() != 1 || toD.of(c.ID()) != 1 {
			t.Errorf("d got %d copies, %d from c, want one", toD.total(), toD.of(c.ID()))
		}
		if n := toC.total(); n != 2 {
			t.Errorf("c got %d copies, want those of a and b", n)
		}
		if n := toB.total(); n != 1 {
			t.Errorf("b got %d copies, want that of a: c relays it to d alone", n)
		}
		if n := toA.total(); n != 0 {
			t.Errorf("a got %d copies back, want none", n)
		}
		if n := toC.of(d.ID()); n != 0 {
			t.Errorf("c got %d copies from the destination, want none", n)
		}
		for _, m := range []member{b, c} {
			wantBodies(t, "who relayed it", m.heard.Bodies(), []string{})
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
				a := startMember(net, gamelan.Config{}, quiet)
				b := net.Start(gamelan.Config{}, quiet, gamelan.WithLayer(dht.BeforeVerify, sees))
				c := startMember(net, gamelan.Config{}, quiet)
				honest := net.Start(gamelan.Config{}, quiet)
				net.Connect(a.Node, b)
				net.Connect(b, c.Node)
				net.Connect(honest, c.Node)
				send(t, a, dht.Message{To: dht.Direct{Peer: b.ID()}, Type: textType, Body: []byte("by a"), Sign: true})
				synctest.Wait()
				e, err := wire.DecodeEnvelope(genuine)
				if err != nil {
					t.Fatal(err)
				}
				e.Body = append([]byte(nil), e.Body...)
				test.change(&e)
				post(t, b, c.Node, e)
				time.Sleep(time.Second)
				if _, _, banned := c.Peers().Banned(b.ID()); !banned {
					t.Error("the one who changed the message is not banned")
				}
				postBytes(t, honest, c.Node, genuine)
				time.Sleep(time.Second)
				got := c.heard.Delivered()
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

// gossiper sends on what it hears, as long as it comes.
type gossiper struct {
	n     *gamelan.Node
	heard *gamelantest.Collector
	inner actor.Actor
}

func (g *gossiper) Receive(c actor.Context) {
	g.inner.Receive(c)
	if m, ok := c.Message().(dht.Received); ok {
		g.n.DHT().SendFrom(c, 0, dht.Message{
			To: dht.Propagate{Exclude: []identity.NodeID{m.Peer}}, Type: m.Type, Body: m.Body,
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
		var all []member
		for range 3 {
			heard := gamelantest.NewCollector()
			n := net.Start(gamelan.Config{DHT: &gamelan.DHTConfig{Occurrences: 3}},
				gamelan.WithType(textType, func(n *gamelan.Node) actor.Actor { return &gossiper{n, heard, heard.New(n)} }))
			all = append(all, member{n, heard})
		}
		for i, m := range all {
			net.Connect(m.Node, all[(i+1)%3].Node)
		}
		send(t, all[0], letterTo(dht.Propagate{}, "again and again"))
		time.Sleep(10 * time.Second)
		for i, m := range all {
			copies := m.heard.Delivered()
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
