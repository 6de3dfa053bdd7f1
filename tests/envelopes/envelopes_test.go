package envelopes

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// TestBubbleDHTSend sends by every strategy that needs no pool of neighbours, in
// clear, signed and encrypted.
//
// conforms: dht 20, 26, 55, 61, 137
func TestBubbleDHTSend(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		all := kit.Members(net, 4)
		a, b := all[0], all[1]
		for _, m := range all[1:] {
			net.Connect(a.Node, m.Node)
		}
		for _, test := range []struct {
			name   string
			m      dht.Message
			copies int
			signed bool
		}{
			{"direct", kit.LetterTo(dht.Direct{Peer: b.ID()}, "1"), 1, false},
			{"direct by key", kit.LetterTo(dht.DirectKey{Key: b.PublicKey()}, "2"), 1, false},
			{"signed", dht.Message{To: dht.Direct{Peer: b.ID()}, Type: kit.TextType, Body: []byte("3"), Sign: true}, 1, true},
			{"encrypted", dht.Message{To: dht.DirectKey{Key: b.PublicKey()}, Type: kit.TextType, Body: []byte("4"), Encrypt: true}, 1, true},
			{"flood", kit.LetterTo(dht.Flood{}, "5"), 3, false},
			{"broadcast", kit.LetterTo(dht.Broadcast{}, "6"), 3, false},
			{"random", kit.LetterTo(dht.Random{N: 3}, "7"), 3, false},
			{"closest", kit.LetterTo(dht.Closest{To: b.ID(), ConnectedOnly: true}, "8"), 3, false},
			{"selected", kit.LetterTo(dht.Selected{Peers: []identity.NodeID{b.ID()}}, "9"), 1, false},
			{"propagate", kit.LetterTo(dht.Propagate{}, "10"), 3, false},
			{"propagate to b", kit.LetterTo(dht.Propagate{To: b.PublicKey()}, "11"), 1, false},
			{"direct or closest", kit.LetterTo(dht.DirectOrClosest{To: b.ID()}, "12"), 1, false},
		} {
			kit.WantAllConfirmed(t, test.name, kit.Send(t, a, test.m), test.copies)
			synctest.Wait()
			heard := b.Heard.Delivered()
			last := heard[len(heard)-1]
			var origin identity.PublicKey
			if test.signed {
				origin = a.PublicKey()
			}
			if !bytes.Equal(last.Body, test.m.Body) || last.From != origin || last.Peer != a.ID() || last.Encrypted != test.m.Encrypt {
				t.Errorf("%s: b heard %+v, want %q from %v", test.name, last, test.m.Body, origin)
			}
		}
		for _, test := range []struct {
			name   string
			m      dht.Message
			reason dht.SendReason
		}{
			{"to ourselves", kit.LetterTo(dht.DirectKey{Key: a.PublicKey()}, ""), dht.ToOurselves},
			{"to ourselves by id", kit.LetterTo(dht.Direct{Peer: a.ID()}, ""), dht.ToOurselves},
			{"unknown", kit.LetterTo(dht.Direct{Peer: identity.NodeID{1}}, ""), dht.NobodySelected},
			{"looked for by nobody", kit.LetterTo(dht.DirectKey{Key: gamelantest.Secret(99).PublicKey(), Discover: true}, ""), dht.DiscoveryFailed},
			{"encrypted for nobody", dht.Message{To: dht.Flood{}, Encrypt: true}, dht.NotSendable},
			{"without a strategy", dht.Message{}, dht.NotSendable},
		} {
			if r := kit.Send(t, a, test.m); r.Reason != test.reason || !r.Failed() {
				t.Errorf("%s: got %v, want %v", test.name, r.String(), test.reason)
			}
		}
	})
}

// TestBubbleDHTRelay has a node relay what is encrypted for somebody else,
// and nothing that is clear.
//
// conforms: dht 44, 68, 74
func TestBubbleDHTRelay(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		all := kit.Members(net, 3)
		a, b, c := all[0], all[1], all[2]
		net.Connect(a.Node, b.Node)
		net.Connect(b.Node, c.Node)
		to := c.PublicKey()
		kit.WantAllConfirmed(t, "encrypted", kit.Send(t, a, dht.Message{To: dht.Propagate{To: to}, Type: kit.TextType, Body: []byte("sealed"), Encrypt: true}), 1)
		kit.WantAllConfirmed(t, "clear", kit.Send(t, a, dht.Message{To: dht.Propagate{To: to}, Type: kit.TextType, Body: []byte("clear")}), 1)
		time.Sleep(time.Second)
		kit.WantBodies(t, "b", b.Heard.Bodies(), []string{"clear"})
		kit.WantBodies(t, "c", c.Heard.Bodies(), []string{"sealed"})
		if m := c.Heard.Delivered()[0]; m.From != a.PublicKey() || m.Peer != b.ID() || !m.Encrypted || m.Destination != c.PublicKey() {
			t.Errorf("c heard %+v, want it written by a and brought by b", m)
		}
	})
}

// finder is somebody who looks for unknown peers, and takes its time.
type finder struct {
	n    *gamelan.Node
	find func(identity.PublicKey) error
}

func (f finder) Receive(c actor.Context) {
	if m, ok := c.Message().(trunk.DiscoverPeer); ok {
		time.Sleep(5 * time.Second)
		c.Send(m.Reply, trunk.PeerDiscovered{Token: m.Token, Key: m.Key, Err: f.find(m.Key)})
	}
}

// TestBubbleDHTDiscovery has a message wait for its peer to be found, while
// others pass it.
//
// conforms: dht 64, 65
func TestBubbleDHTDiscovery(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		all := kit.Members(net, 3)
		a, b, far := all[0], all[1], all[2]
		net.Connect(a.Node, b.Node)
		errLost := errors.New("nobody has seen it")
		pid, err := a.Spawn(t.Context(), "finder", func(n *gamelan.Node) actor.Actor {
			return finder{n, func(key identity.PublicKey) error {
				if key != far.PublicKey() {
					return errLost
				}
				net.Introduce(a.Node, far.Node)
				return nil
			}}
		})
		if err != nil {
			t.Fatal(err)
		}
		nodetest.Trunk(a).Trunk.Provide(trunk.Discovery, pid)
		begin := time.Now()
		found, err := a.DHT().Submit(t.Context(), kit.LetterTo(dht.DirectKey{Key: far.PublicKey(), Discover: true}, "found"))
		if err != nil {
			t.Fatal(err)
		}
		lost, err := a.DHT().Submit(t.Context(), kit.LetterTo(dht.DirectKey{Key: gamelantest.Secret(99).PublicKey(), Discover: true}, "lost"))
		if err != nil {
			t.Fatal(err)
		}
		kit.WantAllConfirmed(t, "meanwhile", kit.Send(t, a, kit.LetterTo(dht.Direct{Peer: b.ID()}, "meanwhile")), 1)
		if took := time.Since(begin); took >= 5*time.Second {
			t.Errorf("the message to b took %v, want it not to wait for the search", took)
		}
		kit.WantAllConfirmed(t, "found", found.Wait(t.Context()), 1)
		synctest.Wait()
		kit.WantBodies(t, "the one found", far.Heard.Bodies(), []string{"found"})
		if r := lost.Wait(t.Context()); r.Reason != dht.DiscoveryFailed || !errors.Is(r.Err, errLost) {
			t.Errorf("got %v, want the discovery failed", r.String())
		}
	})
}

// TestBubbleDHTWaits waits for all, for some and for the first.
//
// conforms: dht 66
func TestBubbleDHTWaits(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		all := kit.Members(net, 5)
		a := all[0]
		for _, m := range all[1:] {
			net.Connect(a.Node, m.Node)
		}
		net.Partition(a.Node, all[4].Node) // whose copy stays without proof
		submit := func() *gamelan.Pending[dht.Report] {
			s, err := a.DHT().Submit(t.Context(), kit.LetterTo(dht.Flood{}, fmt.Sprint(time.Now())))
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		begin := time.Now()
		s := submit()
		if r := s.WaitFor(t.Context(), dht.AnyOutcome); r.Open() == len(r.Copies) || r.Ended() {
			t.Errorf("first: got %v, want one outcome", r.String())
		}
		if r := s.WaitFor(t.Context(), dht.ConfirmedBy(2)); r.Count(protocol.Confirmed) < 2 || r.Ended() {
			t.Errorf("two: got %v", r.String())
		}
		if r := s.WaitFor(t.Context(), dht.ConfirmedShare(0.75)); r.Count(protocol.Confirmed) != 3 || r.Ended() {
			t.Errorf("three quarters: got %v", r.String())
		}
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("took %v, want no wait for the one that is cut off", took)
		}
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if r := s.WaitFor(short, dht.ConfirmedBy(4)); r.Count(protocol.Confirmed) != 3 || short.Err() == nil {
			t.Errorf("four within a second: got %v after %v", r.String(), short.Err())
		}
		r := s.Wait(t.Context())
		if took := time.Since(begin); r.Count(protocol.Confirmed) != 3 || !r.Ended() || took > dht.DefaultLimit {
			t.Errorf("all: got %v after %v, want the end within the limit", r.String(), took)
		}
		if r := s.WaitFor(t.Context(), dht.ConfirmedBy(4)); r.Count(protocol.Confirmed) != 3 {
			t.Errorf("four of an ended one: got %v", r.String())
		}
	})
}

// TestBubbleDHTLedger kills every actor of the DHT and those below it in turn, at
// the sender and at the receiver, while messages are under way: each ends in exactly
// one report, with one outcome; what failed is not heard, and nothing is heard
// twice.
//
// conforms: dht 64
func TestBubbleDHTLedger(t *testing.T) {
	for _, path := range []string{
		"dht", "dht/outbound", "dht/dedup", "dht/inbound-0", "dht/pinger",
		"services", "services/messaging", "extensions", "conns", "dialer", "peers",
	} {
		for i, at := range []string{"sender", "receiver"} {
			t.Run(path+" at the "+at, func(t *testing.T) {
				gamelantest.Bubble(t, func(t *testing.T) {
					net := gamelantest.NewNetwork(t)
					net.SetLink(kit.SlowLink)
					a := kit.StartMember(net, gamelan.Config{}, kit.Quiet)
					b := kit.StartMember(net, gamelan.Config{}, kit.Quiet)
					net.Connect(a.Node, b.Node)
					killWhileSending(t, a, b, []kit.Member{a, b}[i], path)
				})
			})
		}
	}
}

// killWhileSending kills an actor while a sends to b, and checks the ledger of a.
func killWhileSending(t *testing.T, a, b, victim kit.Member, path string) {
	const n = 60
	var sent []*gamelan.Pending[dht.Report]
	for i := range n {
		s, err := a.DHT().Submit(t.Context(), kit.LetterTo(dht.Direct{Peer: b.ID()}, fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		sent = append(sent, s)
		switch i {
		case n / 3, n / 2, 2 * n / 3:
			if !gamelantest.Crash(victim.Node.Node, path, "killed by the test") {
				t.Fatalf("no actor %s", path)
			}
		}
		time.Sleep(time.Millisecond)
	}
	for _, s := range sent {
		s.Wait(t.Context())
	}
	gamelantest.Healed(t, victim.Node.Node)
	time.Sleep(dht.DefaultLimit) // what is in doubt may still arrive
	synctest.Wait()
	heard := make(map[string]int)
	for _, body := range b.Heard.Bodies() {
		if heard[body]++; heard[body] > 1 {
			t.Errorf("message %s was heard %d times", body, heard[body])
		}
	}
	kinds := make(map[protocol.OutcomeKind]int)
	for i, s := range sent {
		r := s.Result()
		text, err := r.String(), r.Err
		switch {
		case !r.Ended():
			t.Errorf("message %d: got %v, want an end", i, text)
		case len(r.Copies) == 0 && r.Reason != 0:
			kinds[protocol.Failed]++
			if heard[fmt.Sprint(i)] > 0 {
				t.Errorf("message %d: got %v, %v, and it was heard", i, text, err)
			}
		case len(r.Copies) != 1 || r.Copies[0].Peer != b.ID() || r.Reason != 0:
			t.Errorf("message %d: got %v with %d copies, want one of b", i, text, len(r.Copies))
		default:
			c := r.Copies[0]
			kinds[c.Outcome.Kind]++
			switch c.Outcome.Kind {
			case protocol.Confirmed, protocol.InDoubt:
				if c.Tries < 1 {
					t.Errorf("message %d: got %v without a try", i, text)
				}
			case protocol.Failed:
				if heard[fmt.Sprint(i)] > 0 {
					t.Errorf("message %d: got %v, and it was heard", i, text)
				}
			default:
				t.Errorf("message %d: got no outcome: %v", i, text)
			}
		}
	}
	if accepted, ended := nodetest.DHT(a).Ledger.Counts(); accepted != n || ended != n || len(a.DHT().Sends()) != n {
		t.Errorf("got %d accepted, %d ended, %d reports, want %d of each", accepted, ended, len(a.DHT().Sends()), n)
	}
	t.Logf("confirmed %d, in doubt %d, failed %d; heard %d", kinds[protocol.Confirmed], kinds[protocol.InDoubt], kinds[protocol.Failed], len(heard))
	kit.WantAllConfirmed(t, "afterwards", kit.Send(t, a, kit.LetterTo(dht.Direct{Peer: b.ID()}, "afterwards")), 1)
}
