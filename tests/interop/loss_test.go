package interop

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// lossy are messages that are under way while connections end.
var lossy = batch{count: 30_000, size: 1000}

// cuts is how often that happens.
const cuts = 5

// throughProxy starts one node of each kind that reach each other only through
// proxies.
func throughProxy(t *testing.T, release string) (*ours, *tari, []*proxy) {
	t.Helper()
	toUs, toThem := newProxy(t), newProxy(t)
	n := startOurs(t, gamelan.Config{PublicAddresses: []string{toUs.multiaddr()}})
	p := startTari(t, release, "--public", toThem.multiaddr())
	toUs.to(tcpOf(n.Listening()[0].String()))
	toThem.to(p.tcp())
	if _, err := n.Peers().AddSeed(t.Context(), p.key.String()+"::"+toThem.multiaddr()); err != nil {
		t.Fatal(err)
	}
	p.knows(n.PublicKey(), toUs.multiaddr())
	return n, p, []*proxy{toUs, toThem}
}

// interrupt calls cut each time another part of the messages has arrived.
func interrupt(t *testing.T, count uint64, arrived func() uint64, cut func() bool) {
	t.Helper()
	end := time.Now().Add(answerLimit)
	for done := 0; done < cuts && time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if arrived() > uint64(done)*count/(cuts+1) && cut() {
			done++
			time.Sleep(50 * time.Millisecond)
		}
	}
}

func cutAll(proxies []*proxy) bool {
	n := 0
	for _, p := range proxies {
		n += p.cut()
	}
	return n > 0
}

// wantOutcomes compares outcomes with what arrived: what was confirmed did,
// what failed did not, each at most once, or with Resend at least once.
func wantOutcomes(t *testing.T, n *ours, p *tari, got tally, resent bool) {
	t.Helper()
	if missing := checkOutcomes(t, n, p, got, resent); missing > 0 {
		t.Errorf("got %d confirmed and missing, want none", missing)
	}
}

// checkOutcomes is wantOutcomes except that it counts what was confirmed and is
// missing. The order is not checked with 6.2.0, which delivers what it still
// had of an old connection side by side with what comes on the new one.
func checkOutcomes(t *testing.T, n *ours, p *tari, got tally, resent bool) (missing int) {
	t.Helper()
	there := p.received(n.PublicKey())
	if uint64(len(got.of)) != lossy.count {
		t.Errorf("outcomes: got %d, want %d", len(got.of), lossy.count)
	}
	times := there.times()
	unexpected, twice := 0, 0
	for number, out := range got.of {
		n := times[number]
		switch {
		case out.Kind == protocol.Confirmed && n == 0:
			missing++
		case out.Kind == protocol.Failed && n > 0:
			unexpected++
		case n > 1 && !resent:
			twice++
		}
	}
	if unexpected > 0 || twice > 0 {
		t.Errorf("got %d failed and received, %d received twice; want none", unexpected, twice)
	}
	if there.Damaged > 0 {
		t.Errorf("there: got %d damaged messages, want none", there.Damaged)
	}
	if !resent && p.release != "6.2.0" {
		there.wantOrder(t, "there")
	}
	if resent && got.count[protocol.Confirmed] != lossy.count {
		t.Errorf("with Resend: got %v, want all confirmed", got)
	}
	t.Logf("%v; %s", got, &there)
	return missing
}

// settled waits until nothing more arrives.
func settled(count func() uint64) {
	for last, same := count(), 0; same < 10; time.Sleep(100 * time.Millisecond) {
		if now := count(); now == last {
			same++
		} else {
			last, same = now, 0
		}
	}
}

// sendLossy has n send the lossy batch to p; the outcomes come when it has ended.
// The context ends with the test.
func sendLossy(t *testing.T, n *ours, p *tari, opts ...gamelan.SendOption) (context.Context, <-chan tally) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), answerLimit)
	t.Cleanup(cancel)
	done := make(chan tally, 1)
	go func() {
		got, err := n.sendAll(ctx, p.id, lossy, opts...)
		if err != nil {
			t.Errorf("send: %v", err)
		}
		done <- got
	}()
	return ctx, done
}

// The network cuts the connection while we send.
//
// feature: the network cuts the connection under load
// note: 6.2.0: delivers what it had of the old connection side by side with what comes on the new one
func TestCutWhileWeSend(t *testing.T) {
	t.Parallel()
	against(t, func(t *testing.T, release string) {
		for name, opts := range map[string][]gamelan.SendOption{"once": nil, "resent": {gamelan.Resend()}} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				n, p, proxies := throughProxy(t, release)
				_, done := sendLossy(t, n, p, opts...)
				there := func() uint64 { return p.received(n.PublicKey()).Count }
				interrupt(t, lossy.count, there, func() bool { return cutAll(proxies) })
				got := <-done
				settled(there)
				wantOutcomes(t, n, p, got, opts != nil)
				noBan(t, n, p)
			})
		}
	})
}

// They disconnect while we send: the same holds, except that their node drops
// what it has read and not handled when it disconnects of its own accord. That
// was confirmed, for it had arrived.
//
// conforms: comms 87, 148
// feature: they disconnect under load
// note: 6.2.0: drops what it had read and not handled
// note: 1.0.0-rc.5: may drop what it had read and not handled
func TestTheyDisconnectWhileWeSend(t *testing.T) {
	against(t, func(t *testing.T, release string) {
		n, p := pair(t, release, weDial)
		_, done := sendLossy(t, n, p)
		there := func() uint64 { return p.received(n.PublicKey()).Count }
		interrupt(t, lossy.count, there, func() bool {
			return p.ask("disconnect", args{"peer": n.PublicKey().String()}, nil) == nil
		})
		got := <-done
		settled(there)
		if dropped := checkOutcomes(t, n, p, got, false); dropped > 0 {
			t.Logf("they dropped %d messages that they had read", dropped)
		}
		noBan(t, n, p)
	})
}

// disconnectLimit is less than the 2 s for which the end of their half of a
// substream is awaited.
const disconnectLimit = 1500 * time.Millisecond

// We disconnect in order, and close the node in the end, while we send: all
// that was written is confirmed, and received.
//
// conforms: comms 87, 146
// feature: we disconnect under load, nothing lost
func TestWeDisconnectWhileWeSend(t *testing.T) {
	t.Parallel()
	against(t, func(t *testing.T, release string) {
		t.Parallel()
		n, p := pair(t, release, weDial)
		ctx, done := sendLossy(t, n, p)
		there := func() uint64 { return p.received(n.PublicKey()).Count }
		var took []time.Duration
		interrupt(t, lossy.count, there, func() bool {
			if _, ok := n.Connection(p.id); !ok {
				return false
			}
			begin := time.Now()
			err := n.Disconnect(ctx, p.id)
			took = append(took, time.Since(begin))
			return err == nil
		})
		if len(took) == 0 {
			t.Fatal("got no connection to end")
		}
		slices.Sort(took) // the machine may have been busy, but not each time
		if got := took[len(took)/2]; got > disconnectLimit {
			t.Errorf("disconnecting took %v in the median, want less than %v", got, disconnectLimit)
		}
		got := <-done
		settled(there)
		wantOutcomes(t, n, p, got, false)
		if got.count[protocol.Confirmed] != lossy.count {
			t.Errorf("got %v, want all confirmed", got)
		}
		noBan(t, n, p)
	})
}

// Their process is killed while we send, and started again: every message has
// one outcome, and the new process hears what is sent from then on.
//
// feature: their process is killed under load and restarted
func TestTheirProcessIsKilled(t *testing.T) {
	against(t, func(t *testing.T, release string) {
		n, p := pair(t, release, weDial)
		_, done := sendLossy(t, n, p, gamelan.Resend())
		gamelantest.Eventually(t, connectLimit, "some messages there", func() bool { return p.received(n.PublicKey()).Count > lossy.count/10 })
		p.kill()
		p.start()
		got := <-done
		if uint64(len(got.of)) != lossy.count {
			t.Errorf("outcomes: got %d, want %d", len(got.of), lossy.count)
		}
		t.Logf("%v", got)
		sendUntilConfirmed(t, n, p.id, 1_000_000)
		gamelantest.Eventually(t, connectLimit, "a new message at the new process", func() bool {
			a := p.received(n.PublicKey())
			return a.times()[1_000_000] > 0
		})
		noBan(t, n, p)
	})
}

// Our node is closed while they send, and started again under the same key and
// address: they find it, and go on.
//
// feature: our node is closed under load and restarted
func TestOurNodeIsRestarted(t *testing.T) {
	against(t, func(t *testing.T, release string) {
		p := startTari(t, release)
		secret := newSecret(t)
		first := startOurs(t, gamelan.Config{Secret: secret})
		connect(t, first, p, theyDial)
		done := make(chan sendReport, 1)
		go func() {
			r, err := p.send(first.PublicKey(), lossy)
			if err != nil {
				t.Errorf("their send: %v", err)
			}
			done <- r
		}()
		gamelantest.Eventually(t, connectLimit, "some messages here", func() bool { return first.heard(p.id).Count > lossy.count/10 })
		if err := first.Close(context.Background()); err != nil {
			t.Errorf("close: %v", err)
		}
		second := startOurs(t, gamelan.Config{Secret: secret, Listen: []string{first.Listening()[0].String()}})
		r := <-done
		failed := uint64(0)
		for _, n := range r.Failed {
			failed += n
		}
		if r.Sent+failed != lossy.count {
			t.Errorf("their replies: got %v, want %d in all", errFailed(r), lossy.count)
		}
		t.Logf("their replies: %v", errFailed(r))
		gamelantest.Eventually(t, connectLimit, "a message to the new node", func() bool {
			_, err := p.send(second.PublicKey(), batch{first: 1_000_000, count: 1, size: 100})
			return err == nil && heardAll(second, p.id, 1_000_000)
		})
		for _, n := range []*ours{first, second} {
			here := n.heard(p.id)
			if here.Damaged > 0 {
				t.Errorf("here: got %s, want none damaged", &here)
			}
		}
		noBan(t, second, p)
	})
}

// sendUntilConfirmed sends one message until it is confirmed.
func sendUntilConfirmed(t *testing.T, n *ours, to identity.NodeID, number uint64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), connectLimit)
	defer cancel()
	for {
		out, err := n.Send(ctx, to, numbered(number, 100))
		switch {
		case err == nil && out.Kind == protocol.Confirmed:
			return
		case err != nil && !errors.Is(err, context.DeadlineExceeded), ctx.Err() != nil:
			t.Fatalf("send: got %v, %v, want confirmed", out, err)
		}
	}
}
