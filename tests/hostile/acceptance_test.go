package hostile

import (
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/internal/rawpeer"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// openAsking is the opening of a node of this library, to a peer that answers when its session
// has the substream.
func openAsking(id string) string { return propose(1, id) }

// likeOurs is listening, with a peer that says it is a node of this library which answers.
func likeOurs(t *testing.T, attack func(t *testing.T, n *target, p *peer)) {
	t.Helper()
	bubble(t, func(t *testing.T, n *target) {
		p := connect(t, n.net.Transport(), n.Addr, secretOf(1), messaging, protocol.TakenMarker)
		synctest.Wait()
		attack(t, n, p)
	})
}

// settled returns the outcome, if there is one.
func settled(m *gamelan.Pending[gamelan.Outcome]) (out gamelan.Outcome, ok bool) {
	select {
	case <-m.Done():
		return m.Result(), true
	default:
		return out, false
	}
}

// TestAcceptanceIsAwaited has the peer answer pings at once, and accept the substream a
// second later, in two pieces: messages are written at once, and none is confirmed before.
//
// conforms: comms 72, 147
func TestAcceptanceIsAwaited(t *testing.T) {
	likeOurs(t, func(t *testing.T, n *target, p *peer) {
		began := time.Now()
		m := n.enqueue(p, "first")
		synctest.Wait()
		ids := p.Opened()
		if len(ids) != 1 {
			t.Fatalf("got substreams %v of the node, want one", ids)
		}
		want := openAsking(messaging) + framed("first")
		if s := p.Stream(ids[0]); s.Data != want || s.At != began {
			t.Errorf("got %q after %v, want %q at once", s.Data, s.At.Sub(began), want)
		}
		time.Sleep(500 * time.Millisecond)
		p.must(p.Data(rawpeer.ACK, ids[0], propose(0, messaging)[:4]))
		time.Sleep(500 * time.Millisecond)
		if out, ok := settled(m); ok {
			t.Fatalf("got %v before the acceptance, want no outcome", out)
		}
		p.must(p.Data(0, ids[0], propose(0, messaging)[4:]))
		synctest.Wait()
		if out, ok := settled(m); !ok || out.Kind != protocol.Confirmed {
			t.Errorf("got %v, %v at the acceptance, want confirmed", out, ok)
		}
		began = time.Now()
		if out := n.enqueue(p, "second").Wait(t.Context()); out.Kind != protocol.Confirmed || time.Since(began) > time.Millisecond {
			t.Errorf("the second: got %v after %v, want confirmed at once", out, time.Since(began))
		}
		time.Sleep(time.Hour)
		if s := p.Stream(ids[0]); s.FIN || s.RST || len(p.Opened()) != 1 {
			t.Errorf("an hour later: got FIN %v, RST %v and substreams %v, want the same one open", s.FIN, s.RST, p.Opened())
		}
	})
}

// TestAcceptanceThatIsNone: other bytes than the acceptance, and bytes behind it, end the
// substream, and so does silence of 30 s. What was written is then in doubt, if it was not
// confirmed before.
//
// conforms: comms 147
func TestAcceptanceThatIsNone(t *testing.T) {
	for name, test := range map[string]struct {
		answer string
		want   protocol.OutcomeKind
		after  time.Duration
	}{
		"another id":       {propose(0, "t/msg/0.2"), protocol.InDoubt, 0},
		"not supported":    {propose(4, ""), protocol.InDoubt, 0},
		"other flags":      {propose(1, messaging), protocol.InDoubt, 0},
		"a message":        {framed("hello"), protocol.InDoubt, 0},
		"more bytes":       {propose(0, messaging) + "x", protocol.InDoubt, 0},
		"nothing":          {"", protocol.InDoubt, 30 * time.Second},
		"a part, and then": {propose(0, messaging)[:10], protocol.InDoubt, 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			likeOurs(t, func(t *testing.T, n *target, p *peer) {
				began := time.Now()
				m := n.enqueue(p, "first")
				synctest.Wait()
				id := p.Opened()[0]
				if test.answer != "" {
					p.must(p.Data(rawpeer.ACK, id, test.answer))
				}
				out := m.Wait(t.Context())
				// The bytes behind an acceptance and the pong that proves the message come together.
				confirmed := name == "more bytes" && out.Kind == protocol.Confirmed
				if took := time.Since(began); out.Kind != test.want && !confirmed || took != test.after {
					t.Errorf("got %v after %v, want %v after %v", out, took, test.want, test.after)
				}
				synctest.Wait()
				if s := p.Stream(id); !s.RST {
					t.Error("got no reset of the substream, want one")
				}
				n.banned(p.id(), 0)
				n.stillConnected(p, 1)
			})
		})
	}
}

// TestAcceptanceIsGiven has peers open messaging substreams in every way. Who waits for an
// acceptance gets it, and so does a node of this library that lists the marker and asks
// for it; nobody else sees a byte.
//
// conforms: comms 72, 74, 75, 147
func TestAcceptanceIsGiven(t *testing.T) {
	for name, test := range map[string]struct {
		marker  bool
		opening string
		want    string
	}{
		"proposed":                 {false, propose(0, messaging), propose(0, messaging)},
		"optimistic":               {false, optimistic(messaging), ""},
		"asked without the marker": {false, openAsking(messaging), ""},
		"proposed by ours":         {true, propose(0, messaging), propose(0, messaging)},
		"optimistic, ours":         {true, optimistic(messaging), ""},
		"asked by ours":            {true, openAsking(messaging), propose(0, messaging)},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, n *target) {
				protocols := []protocol.ID{messaging}
				if test.marker {
					protocols = append(protocols, protocol.TakenMarker)
				}
				p := connect(t, n.net.Transport(), n.Addr, secretOf(1), protocols...)
				for _, id := range []uint32{1, 3} { // the second takes over from the first
					p.open(id, test.opening+framed("message"))
					synctest.Wait()
					if s := p.Stream(id); s.Data != test.want || s.FIN || s.RST && id == 3 {
						t.Errorf("substream %d: got %q, FIN %v, RST %v, want %q and no end", id, s.Data, s.FIN, s.RST, test.want)
					}
				}
				p.must(p.Data(rawpeer.FIN, 3, ""))
				synctest.Wait()
				if s := p.Stream(3); s.Data != test.want || !s.FIN {
					t.Errorf("after our end: got %q, FIN %v, want %q and the end", s.Data, s.FIN, test.want)
				}
				if got := n.heard.Bodies(); !slices.Equal(got, []string{"message", "message"}) {
					t.Errorf("got %q, want both messages", got)
				}
				if !slices.Contains(p.says.Protocols, protocol.TakenMarker) || !strings.Contains(p.says.UserAgent, "gamelan/") {
					t.Errorf("got the user agent %q and the protocols %q, want the marker among them", p.says.UserAgent, p.says.Protocols)
				}
			})
		})
	}
}

// TestMarkerIsNoProtocol: a substream for it is refused.
func TestMarkerIsNoProtocol(t *testing.T) {
	likeOurs(t, func(t *testing.T, n *target, p *peer) {
		p.open(1, propose(0, string(protocol.TakenMarker)))
		synctest.Wait()
		if s := p.Stream(1); s.Data != propose(4, "") {
			t.Errorf("got %q, want %q", s.Data, propose(4, ""))
		}
	})
}

// TestPeerThatStops has the peer answer a ping and end its half of the substream, as a node of
// this library does that stops. The pong counts, what was written behind it is in doubt at once,
// and the node opens no other substream on the connection.
//
// conforms: comms 145
func TestPeerThatStops(t *testing.T) {
	var slow atomic.Bool
	bubble(t, func(t *testing.T, n *target) {
		p := connect(t, n.net.Transport(), n.Addr, secretOf(1), messaging, protocol.TakenMarker)
		synctest.Wait()
		first := n.enqueue(p, "first")
		synctest.Wait()
		id := p.Opened()[0]
		p.must(p.Data(rawpeer.ACK, id, propose(0, messaging)))
		if out := first.Wait(t.Context()); out.Kind != protocol.Confirmed {
			t.Fatalf("got %v, want confirmed", out)
		}
		p.Mute(true)
		read := n.enqueue(p, "read")
		time.Sleep(10 * time.Millisecond)
		ping := p.lastPing()
		unread := n.enqueue(p, "unread")
		synctest.Wait()
		slow.Store(true)
		began := time.Now()
		p.must(p.Send(rawpeer.TypePing, rawpeer.ACK, 0, ping))
		p.must(p.Data(rawpeer.FIN, id, ""))
		if out := read.Wait(t.Context()); out.Kind != protocol.Confirmed {
			t.Errorf("got %v by a pong that came before FIN, want confirmed", out)
		}
		if slow.Load() {
			t.Error("the conn did not hear late of the pong")
		}
		out := unread.Wait(t.Context())
		if took := time.Since(began); out.Kind != protocol.InDoubt || out.Reason != protocol.ConnectionLost || !errors.Is(out.Err, actors.ErrPeerStops) || took > time.Second {
			t.Errorf("behind it: got %v after %v, want in doubt at once, because the peer stops", out, took)
		}
		if out := n.enqueue(p, "late").Wait(t.Context()); out.Kind != protocol.Failed || !errors.Is(out.Err, actors.ErrPeerStops) || len(p.Opened()) != 1 {
			t.Errorf("later: got %v and substreams %v, want failed, because the peer stops, and no other substream", out, p.Opened())
		}
		n.stillConnected(p, 1)
	}, gamelan.WithFault(func(path, point string) {
		if strings.Contains(path, "/conns/") && strings.HasSuffix(point, "mux.Pong]") && slow.CompareAndSwap(true, false) {
			time.Sleep(50 * time.Millisecond) // the conn hears late of the pong
		}
	}))
}
