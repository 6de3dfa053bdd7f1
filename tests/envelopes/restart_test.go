package envelopes

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// TestBubbleDHTDrainRestart has outbound die, and all of the DHT, while the node
// closes and a message still waits for its turn: who takes its place goes on with
// the end, and Close does not wait for one that is gone.
//
// conforms: dht 64
func TestBubbleDHTDrainRestart(t *testing.T) {
	for _, path := range []string{"dht", "dht/outbound"} {
		t.Run(path, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				net := gamelantest.NewNetwork(t)
				a := kit.StartMember(net, gamelan.Config{DHT: &gamelan.DHTConfig{SendPace: 1}}, kit.Quiet)
				b := kit.StartMember(net, gamelan.Config{})
				net.Connect(a.Node, b.Node)
				kit.TakeFor(t, a.Node, b.Node, "tari/basenode/6.2.0") // which is paced
				var all []*gamelan.Pending[dht.Report]
				for range 2 {
					s, err := a.DHT().Submit(t.Context(), kit.LetterTo(dht.Direct{Peer: b.ID()}, "x"))
					if err != nil {
						t.Fatal(err)
					}
					all = append(all, s)
				}
				var died atomic.Bool
				time.AfterFunc(time.Second, func() { died.Store(gamelantest.Crash(a.Node.Node, path, "killed by the test")) })
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
				defer cancel()
				begin := time.Now()
				if err := a.Close(ctx); err != nil {
					t.Errorf("close: %v", err)
				}
				synctest.Wait() // Crash may return after the close
				if took := time.Since(begin); !died.Load() || took > 10*time.Second {
					t.Errorf("died %v; closed after %v, want no wait for an actor that is gone", died.Load(), took)
				}
				kit.WantAllConfirmed(t, "the first", all[0].Result(), 1)
				if r := all[1].Result(); !r.Ended() || r.Count(protocol.Failed) != 1 {
					t.Errorf("the second: got %v, want it failed", r.String())
				}
			})
		})
	}
}

// TestBubbleDHTSendCredit sends with a deadline while there is no credit: the
// message has an end for each peer by then, however long it waited.
func TestBubbleDHTSendCredit(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := kit.StartMember(net, gamelan.Config{NodeCredit: 4 << 20, PeerCredit: 512 << 10}), kit.StartMember(net, gamelan.Config{})
		net.Connect(a.Node, b.Node)
		net.Partition(a.Node, b.Node)
		defer net.Heal(a.Node, b.Node)
		m := kit.LetterTo(dht.Direct{Peer: b.ID()}, "x")
		last := exhaust(t, a, m, 5*time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 7*time.Second)
		defer cancel()
		r, err := a.DHT().Send(ctx, m)
		if err != nil || !r.Ended() || len(r.Copies) != 1 || r.Copies[0].Outcome.Kind == 0 {
			t.Errorf("got %v, %v, want an end within the deadline", r.String(), err)
		}
		if r.Begin.Before(last.Result().End) {
			t.Error("the message did not have to wait for credit")
		}
	})
}

// exhaust sends m until there is no credit for another, and returns the last one.
func exhaust(t *testing.T, a kit.Member, m dht.Message, limit time.Duration) *gamelan.Pending[dht.Report] {
	t.Helper()
	var last *gamelan.Pending[dht.Report]
	m.Limit = limit
	for {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		s, err := a.DHT().Submit(ctx, m)
		cancel()
		switch {
		case err == nil:
			last = s
		case last != nil && errors.Is(err, context.DeadlineExceeded):
			return last
		default:
			t.Fatalf("got %v, want the credit used up", err)
		}
	}
}

// submitter sends the messages that it is told, and tells their ends.
type submitter struct {
	n       *gamelan.Node
	reports chan<- dht.Report
}

func (s submitter) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case dht.Message:
		s.n.DHT().SendFrom(c, 1, m)
	case dht.Sent:
		s.reports <- m.Report
	}
}

// TestBubbleDHTRefusedAtOnce sends what could never be sent while there is no
// credit: it is refused, and waits for nothing.
func TestBubbleDHTRefusedAtOnce(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		reports := make(chan dht.Report, 1)
		a := kit.StartMember(net, gamelan.Config{NodeCredit: 4 << 20, PeerCredit: 512 << 10}, gamelan.WithActor("sender", func(n *gamelan.Node) actor.Actor {
			return submitter{n, reports}
		}))
		b := kit.StartMember(net, gamelan.Config{})
		net.Connect(a.Node, b.Node)
		net.Partition(a.Node, b.Node)
		defer net.Heal(a.Node, b.Node)
		m := kit.LetterTo(dht.Direct{Peer: b.ID()}, "x")
		exhaust(t, a, m, time.Minute)
		for name, refused := range map[string]dht.Message{
			"too long": {To: m.To, Type: kit.TextType, Body: make([]byte, 8<<20+1)},
			"ping":     {To: m.To, Type: dht.TypePing, Body: []byte("no ping")},
		} {
			begin := time.Now()
			if _, err := a.DHT().Submit(t.Context(), refused); !errors.Is(err, dht.ErrNotSendable) || time.Since(begin) > 0 {
				t.Errorf("%s: got %v after %v, want it refused at once", name, err, time.Since(begin))
			}
			sender, _ := a.Actor("sender")
			net.System.Root.Send(sender, refused)
			if r := <-reports; r.Reason != dht.NotSendable || !errors.Is(r.Err, dht.ErrNotSendable) {
				t.Errorf("%s from an actor: got %v, want it refused", name, r.String())
			}
		}
		if _, why, banned := b.Peers().Banned(a.ID()); banned {
			t.Errorf("banned: %s", why)
		}
		if _, err := a.DHT().Submit(t.Context(), dht.Message{To: m.To, Type: dht.TypePing}); err == nil || fmt.Sprint(err) != "gamelan: message not accepted: dht: message cannot be sent: type 1 is that of pings; ask with DHT.Ping, or choose another type" {
			t.Errorf("got %v", err)
		}
	})
}

// TestBubbleDHTSendLost: the actor that sends fails with a request in hand. Whoever has asked
// hears that the message was not sent, and does not wait for ever.
func TestBubbleDHTSendLost(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		var point atomic.Pointer[string]
		fail := func(at string) { point.Store(&at) }
		fault := gamelan.WithFault(func(path, at string) {
			if p := point.Load(); p != nil && strings.HasSuffix(path, "/dht/outbound") && strings.HasSuffix(at, *p) && point.CompareAndSwap(p, nil) {
				panic("crash on purpose: " + at)
			}
		})
		reports := make(chan dht.Report, 10)
		a := kit.StartMember(net, gamelan.Config{}, kit.Quiet, fault, gamelan.WithActor("submitter", func(n *gamelan.Node) actor.Actor { return submitter{n, reports} }))
		b := kit.StartMember(net, gamelan.Config{})
		net.Connect(a.Node, b.Node)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()

		fail("SendControl")
		if _, err := a.DHT().Join(ctx); !errors.Is(err, actors.ErrClosing) || point.Load() != nil {
			t.Errorf("join: got %v, want the end of its sender", err)
		}
		if _, err := a.DHT().Join(ctx); err != nil {
			t.Errorf("join again: got %v", err)
		}

		fail("SendMessage")
		to, _ := a.Actor("submitter")
		net.System.Root.Send(to, kit.LetterTo(dht.Direct{Peer: b.ID()}, "letter"))
		synctest.Wait()
		select {
		case r := <-reports:
			if r.Reason != dht.SendClosed || !errors.Is(r.Err, actors.ErrClosing) || point.Load() != nil {
				t.Errorf("got %+v, want the end of its sender", r)
			}
		default:
			t.Error("the actor that has sent a message hears nothing of it")
		}
	})
}
