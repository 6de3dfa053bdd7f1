package hostile

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/protocol/onecall"
	"github.com/gamelan-p2p/gamelan/internal/rawpeer"
	"github.com/gamelan-p2p/gamelan/internal/transport/mux"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
	"github.com/gamelan-p2p/gamelan/transport"
)

// resets has the peer reset each substream of the node, until stop is called.
func (p *peer) resets() (stop func()) {
	over, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for seen := 0; ; {
			for _, id := range p.Opened()[seen:] {
				seen++
				p.Data(rawpeer.ACK|rawpeer.RST, id, "")
			}
			select {
			case <-over:
				return
			case <-time.After(time.Millisecond):
			}
		}
	}()
	stop = func() { close(over); <-done }
	return stop
}

// openings are the times at which the node has opened a substream, from the first on.
func (p *peer) openings() (all []time.Duration) {
	for _, id := range p.Opened() {
		all = append(all, p.Stream(id).At.Sub(p.Stream(p.Opened()[0]).At).Round(time.Millisecond))
	}
	return all
}

// warned are the warnings of status that name the peer.
func (n *target) warned(p *peer) (all []string) {
	for _, w := range n.Inspection().Node(n.t.Context()).Warnings.Texts() {
		if strings.Contains(w, p.secret.NodeID().String()) {
			all = append(all, w)
		}
	}
	return all
}

// TestResetInNegotiation has a peer reset each substream for messages while its
// protocol is negotiated, on a connection that lives on. The message fails for a
// reason of its own, not as a dial, after a back-off without a dial; status names
// the peer, other peers are served meanwhile, and when the peer takes messages
// again the next one arrives.
//
// conforms: comms 84, V 14
func TestResetInNegotiation(t *testing.T) {
	connected(t, func(t *testing.T, n *target, p *peer) { // it does not list the protocol, so the node waits for its answer
		stop := p.resets()
		m := n.enqueue(p, "first")
		time.Sleep(3 * time.Second)
		n.serves() // others are not delayed
		if w := n.warned(p); len(w) != 1 || !strings.Contains(w[0], "takes none of our messages") {
			t.Errorf("got the warnings %q, want one that names the peer", w)
		}
		kit.Says(t, n.Node.Node, codes.TakesNothing)
		out := m.Wait(t.Context())
		if out.Kind != protocol.Failed || out.Reason != gamelan.NotTaken || !errors.Is(out.Err, mux.ErrReset) {
			t.Errorf("got %v, want failed: %v", out, gamelan.NotTaken)
		}
		ms := time.Millisecond
		if got, want := p.openings(), []time.Duration{0, 200 * ms, 600 * ms, 1400 * ms, 3000 * ms, 6200 * ms}; !slices.EqualFunc(got, want, near) {
			t.Errorf("got substreams after %v, want %v", got, want)
		}
		if dials := n.Inspection().Peer(p.id()).Attempts; len(dials) > 0 {
			t.Errorf("got the dials %v, want none: the connection lives", dials)
		}
		stop()
		opened := len(p.Opened())
		m = n.enqueue(p, "second")
		time.Sleep(6 * time.Second)
		ids := p.Opened()
		if len(ids) != opened+1 {
			t.Fatalf("got %d substreams, want one more after the pause", len(ids)-opened)
		}
		p.must(p.Data(rawpeer.ACK, ids[opened], propose(0, messaging)))
		if out := m.Wait(t.Context()); out.Kind != protocol.Confirmed {
			t.Errorf("got %v, want confirmed: the peer takes messages again", out)
		}
		synctest.Wait()
		if w := n.warned(p); len(w) != 0 {
			t.Errorf("got the warnings %q, want none any more", w)
		}
		n.banned(p.id(), 0)
	})
}

// near allows for the peer's look at its streams once in a millisecond.
func near(a, b time.Duration) bool { return (a - b).Abs() <= 10*time.Millisecond }

// TestResetInNegotiationDHT has such a peer be sent a message over the DHT: the
// report and the ledger give that reason.
//
// conforms: V 14
func TestResetInNegotiationDHT(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		n := start(t, gamelan.Config{DHT: &gamelan.DHTConfig{}})
		p := connect(t, n.net.Transport(), n.Addr, secretOf(1))
		synctest.Wait()
		defer p.resets()()
		report, err := n.DHT().Send(t.Context(), dht.Message{To: dht.Direct{Peer: p.id()}, Type: 1300, Body: []byte("x")})
		if err != nil {
			t.Fatal(err)
		}
		if len(report.Copies) != 1 || report.Copies[0].Outcome.Kind != protocol.Failed || report.Copies[0].Outcome.Reason != gamelan.NotTaken {
			t.Errorf("got %v, want failed: %v", report, gamelan.NotTaken)
		}
		v, err := n.Inspection().Sections.Value(t.Context(), "ledger")
		if err != nil {
			t.Fatal(err)
		}
		ledger := v.(models.Ledger).Reports
		if len(ledger) != 1 || !strings.Contains(fmt.Sprint(ledger[0]), gamelan.NotTaken.String()) {
			t.Errorf("the ledger: got %+v, want the reason in it", ledger)
		}
		if w := n.warned(p); len(w) != 1 {
			t.Errorf("got the warnings %q, want one that names the peer", w)
		}
	})
}

// TestConnectionsLostUnderMessages has a peer end each connection of the node as
// soon as it is set up, as a Rust node does with the loser of a tie-break, while
// messages wait for a substream: they are not failed by that, but go over the one
// that stays; so does a call.
//
// conforms: comms 86
func TestConnectionsLostUnderMessages(t *testing.T) {
	for _, lost := range []int{1, 2, 3, 6} {
		dialled(t, func(t *testing.T, n *target, l transport.Listener) {
			to := &peer{secret: secretOf(1)}
			var all []*gamelan.Pending[gamelan.Outcome]
			for _, body := range []string{"a", "b", "c", "d", "e"} {
				all = append(all, n.enqueue(to, body))
			}
			for range lost {
				p := accept(t, l, secretOf(1)) // it waits for the answer to its proposal
				time.Sleep(50 * time.Millisecond)
				p.raw.Close()
			}
			accept(t, l, secretOf(1), messaging)
			for i, m := range all {
				if out := m.Wait(t.Context()); out.Kind != protocol.Confirmed {
					t.Errorf("after %d connections, message %d: got %v, want confirmed", lost, i, out)
				}
			}
		})
	}
}

// TestConnectionsLostUnderCalls is the same for a call: the connection ends in the
// handshake of the session, when nothing of the call has left.
//
// conforms: comms 86
func TestConnectionsLostUnderCalls(t *testing.T) {
	for _, lost := range []int{1, 2, 3, 6} {
		dialled(t, func(t *testing.T, n *target, l transport.Listener) {
			called := make(chan error, 1)
			go func() {
				_, err := n.RPC().Client(secretOf(1).NodeID(), custom).Ping(t.Context())
				called <- err
			}()
			for i := range lost {
				p := accept(t, l, secretOf(1), custom)
				if i%2 == 0 {
					time.Sleep(50 * time.Millisecond) // the node has begun its handshake
				}
				p.raw.Close()
			}
			p := accept(t, l, secretOf(1), custom)
			synctest.Wait()
			p.must(p.Data(rawpeer.ACK, p.Opened()[0], framed(string(onecall.AppendAccepted(nil)))))
			synctest.Wait()
			select {
			case err := <-called:
				t.Fatalf("after %d connections: got %v, want the call on its way on the one that stays", lost, err)
			default:
			}
			if got := p.Stream(p.Opened()[0]).Data; len(got) <= len(optimistic(custom))+4 {
				t.Errorf("got %q, want a request", got)
			}
		})
	}
}
