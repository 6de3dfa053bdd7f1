package messages

import (
	"fmt"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// leaver counts messages, and panics or stops itself when it is told to.
type leaver struct{ heard *atomic.Int32 }

func (l leaver) Receive(c actor.Context) {
	m, ok := c.Message().(gamelan.Received)
	switch {
	case !ok:
	case string(m.Body) == "panic":
		panic("told to")
	case string(m.Body) == "stop":
		c.Stop(c.Self())
	default:
		l.heard.Add(1)
	}
}

// TestBubbleHandlerLeaves: the handler of plain messages goes for good, in each way, while
// the substreams of many peers are read, or are parked. From then on no message of any peer is
// confirmed, however much later it comes, until there is a handler again. There are 6 peers, with
// GAMELAN_LONG 24.
func TestBubbleHandlerLeaves(t *testing.T) {
	peers := 6
	if os.Getenv("GAMELAN_LONG") != "" {
		peers = 24
	}
	for name, leave := range map[string]func(t *testing.T, from, to *gamelantest.Node){
		"panic policy": func(t *testing.T, from, to *gamelantest.Node) { kit.Enqueue(t, from, to, "panic") },
		"unregistered": func(t *testing.T, _, to *gamelantest.Node) {
			if err := to.UnregisterHandler(t.Context()); err != nil {
				t.Error(err)
			}
		},
		"stops itself": func(t *testing.T, from, to *gamelantest.Node) { kit.Enqueue(t, from, to, "stop") },
	} {
		for _, before := range []time.Duration{0, 10 * time.Second} { // the substreams are parked after 2 s
			for _, after := range []time.Duration{0, time.Second, time.Hour} {
				t.Run(fmt.Sprintf("%s %v before and %v after", name, before, after), func(t *testing.T) {
					gamelantest.Bubble(t, func(t *testing.T) {
						var heard atomic.Int32
						handler := func(*gamelan.Node) actor.Actor { return leaver{&heard} }
						net := gamelantest.NewNetwork(t)
						to := net.Start(gamelan.Config{NoDHT: true}, kit.Quiet, gamelan.WithHandler(handler, gamelan.OnPanic(gamelan.PanicStop)))
						from := make([]*gamelantest.Node, peers)
						for i := range from {
							from[i] = net.Start(gamelan.Config{NoDHT: true}, kit.Quiet)
							net.Connect(from[i], to)
						}
						confirmed := func(text string) (n int) {
							for i, p := range from {
								if out := kit.Enqueue(t, p, to, fmt.Sprintf("%s of %d", text, i)).Wait(t.Context()); out.Kind == protocol.Confirmed {
									n++
								}
							}
							synctest.Wait() // a message is confirmed before it is handled
							return n
						}
						if n := confirmed("first"); n != peers {
							t.Fatalf("got %d messages confirmed, want %d", n, peers)
						}
						time.Sleep(before)
						leave(t, from[0], to)
						synctest.Wait()
						time.Sleep(after)
						for _, text := range []string{"next", "second"} {
							if n := confirmed(text); n != 0 {
								t.Errorf("the %s message after the handler has gone: got %d of %d confirmed, want none", text, n, peers)
							}
						}
						if n := int(heard.Load()); n != peers {
							t.Errorf("got %d messages, want the first %d", n, peers)
						}
						if err := to.RegisterHandler(t.Context(), handler); err != nil {
							t.Fatal(err)
						}
						time.Sleep(time.Minute) // a peer whose substreams are reset waits before the next one
						if n, all := confirmed("again"), int(heard.Load()); n != peers || all != 2*peers {
							t.Errorf("with a handler again: got %d confirmed and %d in all, want %d and %d", n, all, peers, 2*peers)
						}
						synctest.Wait()
						kit.WantNoCredit(t, slices.Concat(from, []*gamelantest.Node{to})...)
					})
				})
			}
		}
	}
}

// slow takes a millisecond for each message, and remembers all, by peer.
type slow struct{ heard map[identity.NodeID][]string }

func (s slow) Receive(c actor.Context) {
	if m, ok := c.Message().(gamelan.Received); ok {
		time.Sleep(time.Millisecond)
		s.heard[m.Peer] = append(s.heard[m.Peer], string(m.Body))
	}
}

// TestBubbleExtensionsRestart: the parent of the user's actors is restarted while messages
// wait in the handler's mailbox and others arrive. All that is confirmed is handled, once and
// in the order of each peer.
func TestBubbleExtensionsRestart(t *testing.T) {
	for seed := range 20 {
		gamelantest.Bubble(t, func(t *testing.T) {
			const each = 100
			heard := slow{make(map[identity.NodeID][]string)}
			net := gamelantest.NewNetwork(t)
			to := net.Start(gamelan.Config{NoDHT: true}, kit.Quiet, gamelan.WithHandler(func(*gamelan.Node) actor.Actor { return heard }))
			var want []string
			from := make([]*gamelantest.Node, 3)
			for i := range from {
				from[i] = net.Start(gamelan.Config{NoDHT: true}, kit.Quiet)
				net.Connect(from[i], to)
			}
			var all []*gamelan.Pending[gamelan.Outcome]
			for n := range each {
				text := fmt.Sprint(n)
				want = append(want, text)
				for _, p := range from {
					all = append(all, kit.Enqueue(t, p, to, text))
				}
				if n%40 == seed {
					time.Sleep(time.Duration(seed) * 100 * time.Microsecond)
					if !gamelantest.Crash(to.Node, "extensions", "a bug") {
						t.Fatal("there is no actor extensions")
					}
				}
			}
			for i, m := range all {
				if out := m.Wait(t.Context()); out.Kind != protocol.Confirmed {
					t.Errorf("message %d: got %v, want confirmed", i, out)
				}
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			for i, p := range from {
				if got := heard.heard[p.ID()]; !slices.Equal(got, want) {
					t.Errorf("seed %d, peer %d: got %d messages %v, want all %d in order", seed, i, len(got), got, each)
				}
			}
			if info := kit.InfoOf(t, to, "extensions"); info.Restarts != 3 && info.Restarts != 2 {
				t.Errorf("got %d restarts of extensions, want 2 or 3", info.Restarts)
			}
			kit.WantNoCredit(t, slices.Concat(from, []*gamelantest.Node{to})...)
		})
	}
}
