package hostile

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/transport"
)

// TestDialWaitsForInbound has the node want a connection to a peer that is just
// setting one up itself, and may hold it for usable already. A dial of the node's
// would cross it, and a Rust node closes one of two that cross at once, with the
// calls on it. So the dial waits: for the connection, or for two seconds.
//
// conforms: comms 114
func TestDialWaitsForInbound(t *testing.T) {
	for _, finishes := range []bool{true, false} {
		dialled(t, func(t *testing.T, n *target, l transport.Listener) {
			var accepts atomic.Int32
			accepted := make(chan transport.Conn, 8)
			go func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					accepts.Add(1)
					accepted <- c
				}
			}()
			c := rawDial(t, n.net.Transport(), n.Addr)
			p := &peer{t: t, secret: secretOf(1), raw: c, conn: shake(t, c, secretOf(1))}
			synctest.Wait() // the node knows the peer's key, and waits for its identity
			m := n.enqueue(p, "message")
			time.Sleep(time.Second)
			if got := accepts.Load(); got != 0 {
				t.Fatalf("got %d dials during the peer's set-up, want none", got)
			}
			if !finishes {
				time.Sleep(1100 * time.Millisecond)
				if got := accepts.Load(); got != 1 {
					t.Fatalf("got %d dials after two seconds, want one", got)
				}
				second := &peer{t: t, secret: secretOf(1), raw: <-accepted}
				t.Cleanup(func() { second.raw.Close() })
				second.respond([]protocol.ID{messaging})
			} else {
				p.exchange([]protocol.ID{messaging})
			}
			if out := m.Wait(t.Context()); out.Kind != protocol.Confirmed {
				t.Errorf("got %v, want confirmed", out)
			}
			if got := accepts.Load(); finishes && got != 0 || got > 1 {
				t.Errorf("the peer finishes %v: got %d dials", finishes, got)
			}
		})
	}
}
