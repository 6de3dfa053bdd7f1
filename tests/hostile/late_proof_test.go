package hostile

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/internal/rawpeer"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// TestLateProofOfACrashedSession has a session ask for the proof of a message and panic. The
// ping is answered when the next session of the peer, which has the same name and the same
// connection, has written a message: that pong proves nothing about it.
//
// conforms: comms 145
func TestLateProofOfACrashedSession(t *testing.T) {
	var crash atomic.Bool
	bubble(t, func(t *testing.T, n *target) {
		p := connect(t, n.net.Transport(), n.Addr, secretOf(1), messaging, protocol.TakenMarker)
		synctest.Wait()
		send := func(body string) *gamelan.Pending[gamelan.Outcome] {
			before := len(p.Opened())
			m := n.enqueue(p, body)
			synctest.Wait()
			if all := p.Opened(); len(all) > before {
				p.must(p.Data(rawpeer.ACK, all[before], propose(0, messaging)))
				synctest.Wait()
			}
			return m
		}
		if out := send("first").Wait(t.Context()); out.Kind != protocol.Confirmed {
			t.Fatalf("first message: got %v, want confirmed", out)
		}
		p.Mute(true)
		asked := send("asked about")
		time.Sleep(10 * time.Millisecond)
		synctest.Wait()
		last := p.lastPing()
		crash.Store(true)
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		send("withdrawn").Wait(gone)
		synctest.Wait()
		if out, ok := settled(asked); !ok || out.Kind != protocol.InDoubt {
			t.Fatalf("after the panic: got %v, %v, want in doubt", out, ok)
		}
		next := send("next")
		if len(p.Opened()) != 2 {
			t.Fatalf("got substreams %v, want one more", p.Opened())
		}
		p.must(p.Send(rawpeer.TypePing, rawpeer.ACK, 0, last))
		synctest.Wait()
		if out, ok := settled(next); ok {
			t.Errorf("got %v by a pong that was asked for before the message was written, want none yet", out)
		}
		p.Mute(false)
		for _, f := range p.Frames() {
			if f.Has(rawpeer.TypePing, rawpeer.SYN) {
				p.must(p.Send(rawpeer.TypePing, rawpeer.ACK, 0, f.Length()))
			}
		}
		if out := next.Wait(t.Context()); out.Kind != protocol.Confirmed {
			t.Errorf("got %v, want confirmed by the next pong", out)
		}
	}, gamelan.WithFault(func(path, point string) {
		if strings.Contains(path, "/messaging/") && point == "messengers.withdraw" && crash.CompareAndSwap(true, false) {
			panic("crash")
		}
	}))
}
