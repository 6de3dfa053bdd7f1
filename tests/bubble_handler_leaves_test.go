package tests

import (
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/protocol"
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
// confirmed, however much later it comes, until there is a handler again.
func TestBubbleHandlerLeaves(t *testing.T) {
	const peers = 24
	for name, leave := range map[string]func(t *testing.T, from, to *gamelantest.Node){
		"panic policy": func(t *testing.T, from, to *gamelantest.Node) { enqueue(t, from, to, "panic") },
		"unregistered": func(t *testing.T, _, to *gamelantest.Node) {
			if err := to.UnregisterHandler(t.Context()); err != nil {
				t.Error(err)
			}
		},
		"stops itself": func(t *testing.T, from, to *gamelantest.Node) { enqueue(t, from, to, "stop") },
	} {
		for _, before := range []time.Duration{0, 10 * time.Second} { // the substreams are parked after 2 s
			for _, after := range []time.Duration{0, time.Second, time.Hour} {
				t.Run(fmt.Sprintf("%s %v before and %v after", name, before, after), func(t *testing.T) {
					gamelantest.Bubble(t, func(t *testing.T) {
						var heard atomic.Int32
						handler := func(*gamelan.Node) actor.Actor { return leaver{&heard} }
						net := gamelantest.NewNetwork(t)
						to := net.Start(gamelan.Config{NoDHT: true}, quiet, gamelan.WithHandler(handler, gamelan.OnPanic(gamelan.PanicStop)))
						from := make([]*gamelantest.Node, peers)
						for i := range from {
							from[i] = net.Start(gamelan.Config{NoDHT: true}, quiet)
							net.Connect(from[i], to)
						}
						confirmed := func(text string) (n int) {
							for i, p := range from {
								if out := enqueue(t, p, to, fmt.Sprintf("%s of %d", text, i)).Wait(t.Context()); out.Kind == protocol.Confirmed {
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
						if n := heard.Load(); n != peers {
							t.Errorf("got %d messages, want the first %d", n, peers)
						}
						if err := to.RegisterHandler(t.Context(), handler); err != nil {
							t.Fatal(err)
						}
						time.Sleep(time.Minute) // a peer whose substreams are reset waits before the next one
						if n := confirmed("again"); n != peers || heard.Load() != 2*peers {
							t.Errorf("with a handler again: got %d confirmed and %d in all, want %d and %d", n, heard.Load(), peers, 2*peers)
						}
						synctest.Wait()
						wantNoCredit(t, append(from, to)...)
					})
				})
			}
		}
	}
}
