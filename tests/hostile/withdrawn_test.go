package hostile

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/internal/protocol/outcomes"
	"github.com/gamelan-p2p/gamelan/internal/rawpeer"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// TestWithdrawnWithWriter withdraws a message while the writer stands still in it, and has the
// peer reset the substream then: the message is not written again, whoever gave it to the writer.
//
// conforms: V 15
func TestWithdrawnWithWriter(t *testing.T) {
	for _, first := range []bool{false, true} {
		name := "given by the session"
		if first {
			name = "lent"
		}
		t.Run(name, func(t *testing.T) {
			likeOurs(t, func(t *testing.T, n *target, p *peer) {
				if first {
					m, err := n.Submit(t.Context(), p.id(), []byte("first"), gamelan.Resend())
					if err != nil {
						t.Fatal(err)
					}
					synctest.Wait()
					p.must(p.Data(rawpeer.ACK, p.Opened()[0], propose(0, string(outcomes.ID))))
					if out := m.Wait(t.Context()); out.Kind != protocol.Confirmed {
						t.Fatalf("first message: got %v, want confirmed", out)
					}
				}
				ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
				defer cancel()
				m, err := n.Node.Submit(t.Context(), p.id(), []byte(strings.Repeat("x", 600<<10)), gamelan.Resend())
				if err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if !first {
					p.must(p.Data(rawpeer.ACK, p.Opened()[0], propose(0, string(outcomes.ID))))
				}
				if out := m.Wait(ctx); out.Kind != protocol.InDoubt || out.Reason != protocol.Expired {
					t.Errorf("withdrawn message: got %v, want in doubt: expired", out)
				}
				before := len(p.Opened())
				if s := p.Stream(p.Opened()[before-1]); len(s.Data) == 0 {
					t.Error("nothing of the message was written, so the writer did not have it")
				}
				p.must(p.Data(rawpeer.RST, p.Opened()[before-1], ""))
				time.Sleep(20 * time.Second)
				synctest.Wait()
				if all := p.Opened(); len(all) != before {
					t.Errorf("got %d substreams after the withdrawal, want %d; the last has %d bytes", len(all), before, len(p.Stream(all[len(all)-1]).Data))
				}
			})
		})
	}
}

// TestWithdrawalAtCrash has a session panic on the withdrawal of a message that still is in its
// queue: the sender hears its outcome all the same, and does not wait for the next session.
//
// conforms: V 15
func TestWithdrawalAtCrash(t *testing.T) {
	var hit atomic.Bool
	bubble(t, func(t *testing.T, n *target) {
		p := connect(t, n.net.Transport(), n.Addr, secretOf(1), messaging, protocol.TakenMarker)
		synctest.Wait()
		m := n.enqueue(p, "first")
		synctest.Wait()
		p.must(p.Data(rawpeer.ACK, p.Opened()[0], propose(0, messaging)))
		if out := m.Wait(t.Context()); out.Kind != protocol.Confirmed {
			t.Fatalf("first message: got %v, want confirmed", out)
		}
		n.enqueue(p, strings.Repeat("x", 600<<10))
		synctest.Wait()
		began := time.Now()
		for i, wait := range []time.Duration{100 * time.Millisecond, 200 * time.Millisecond} {
			m := n.enqueue(p, "behind")
			go func() {
				ctx, cancel := context.WithTimeout(t.Context(), wait)
				defer cancel()
				out := m.Wait(ctx)
				if took := time.Since(began); took > 3*time.Second || out.Reason != protocol.Expired {
					t.Errorf("message %d: got %v after %v, want expired soon after its ctx ended at %v", i, out, took, wait)
				}
			}()
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if !hit.Load() {
			t.Error("the session did not panic")
		}
	}, gamelan.WithFault(func(path, point string) {
		if strings.Contains(path, "/messaging/") && point == "messengers.withdraw" && hit.CompareAndSwap(false, true) {
			time.Sleep(time.Second)
			panic("crash")
		}
	}))
}
