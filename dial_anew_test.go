package gamelan_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/transport"
	"github.com/gamelan-p2p/gamelan/transport/memory"
)

// swallowed is a transport whose first dials go out into a cable that is no more.
type swallowed struct {
	transport.Transport
	begun atomic.Int64
	lost  int64
}

func (s *swallowed) Dial(ctx context.Context, a ma.Multiaddr) (transport.Conn, error) {
	if s.begun.Add(1) <= s.lost {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}
	return s.Transport.Dial(ctx, a)
}

// TestDialAnew: a dial under way begins again when there may be a new way to others. What went
// nowhere counts as no failure of the address. A dial that is answered goes on, however often that
// is said.
func TestDialAnew(t *testing.T) {
	for name, lost := range map[string]int64{"unanswered": 1, "answered": 0} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				net := gamelantest.NewNetwork(t)
				dials := &swallowed{Transport: net.Transport(), lost: lost}
				a, err := gamelan.Start(t.Context(), gamelan.Config{Listen: []string{gamelan.ListenNowhere}}, gamelan.WithTransport(dials), gamelan.WithLogger(discard))
				if err != nil {
					t.Fatal(err)
				}
				defer a.Close(context.WithoutCancel(t.Context()))
				b := net.Start(gamelan.Config{}, gamelan.WithHandler(gamelantest.NewCollector().New))
				if lost == 0 {
					net.SetLink(slowLink)
				}
				if _, err := a.Peers().AddSeed(t.Context(), b.Seed()); err != nil {
					t.Fatal(err)
				}
				p, err := a.Submit(t.Context(), b.ID(), []byte("message"))
				if err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				begin := time.Now()
				if lost > 0 {
					time.Sleep(10 * time.Second)
					begin = time.Now()
					nodetest.Trunk(a).DialAnew()
				}
				done := make(chan gamelan.Outcome, 1)
				go func() { done <- p.Wait(t.Context()) }()
				var out gamelan.Outcome
				for over := false; !over; {
					select {
					case out = <-done:
						over = true
					case <-time.After(time.Millisecond):
						if lost == 0 && len(b.Connections()) > 0 { // the peer has an end that it could use
							nodetest.Trunk(a).DialAnew()
						}
					}
				}
				wantOutcome(t, "sent", out, nil, protocol.Confirmed, protocol.ReasonNone)
				if took := time.Since(begin); took > 5*time.Second {
					t.Errorf("got the message through after %v, want at once", took)
				}
				if got := dials.begun.Load(); got != lost+1 {
					t.Errorf("got %d dials, want %d", got, lost+1)
				}
				if known, _ := a.Peers().Get(b.ID()); known.Addresses[0].Attempts > 0 {
					t.Errorf("got %d failures of the address, want none", known.Addresses[0].Attempts)
				}
			})
		})
	}
}

// TestDialAnewTwice: a dial that takes longer than the time between two new ways still ends.
func TestDialAnewTwice(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}, gamelan.WithLogger(discard)), net.Start(gamelan.Config{}, gamelan.WithLogger(discard))
		net.SetLink(memory.Link{Latency: time.Second})
		net.Introduce(a, b)
		done := make(chan error, 1)
		go func() {
			_, err := a.Dial(t.Context(), b.ID())
			done <- err
		}()
		for begin := time.Now(); time.Since(begin) < 5*time.Minute; time.Sleep(2 * time.Second) {
			select {
			case err := <-done:
				if err != nil || time.Since(begin) > 20*time.Second {
					t.Errorf("got %v after %v, want a connection", err, time.Since(begin))
				}
				return
			default:
				nodetest.Trunk(a).DialAnew()
			}
		}
		t.Error("got no connection in five minutes")
	})
}

// TestDialsEndAmongNewWays: a dial that nobody answers ends, and gives its place free, also where
// networks come and go all the time.
func TestDialsEndAmongNewWays(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		dials := &swallowed{Transport: net.Transport(), lost: 1 << 40}
		a, err := gamelan.Start(t.Context(), gamelan.Config{Listen: []string{gamelan.ListenNowhere}}, gamelan.WithTransport(dials), gamelan.WithLogger(discard))
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close(context.WithoutCancel(t.Context()))
		b := net.Start(gamelan.Config{})
		if _, err := a.Peers().AddSeed(t.Context(), b.Seed()); err != nil {
			t.Fatal(err)
		}
		done := make(chan time.Duration, 1)
		go func() {
			begin := time.Now()
			a.Dial(t.Context(), b.ID())
			done <- time.Since(begin)
		}()
		for range 300 {
			time.Sleep(time.Second)
			nodetest.Trunk(a).DialAnew()
		}
		if took := <-done; took > 2*time.Minute {
			t.Errorf("got the end of the dial after %v, want within two minutes", took)
		}
	})
}

// TestDialAnewOfOtherAddresses: when a dial begins again, the peer may have no address left that
// this node can dial.
func TestDialAnewOfOtherAddresses(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		dials := &swallowed{Transport: net.Transport(), lost: 1}
		a, err := gamelan.Start(t.Context(), gamelan.Config{Listen: []string{gamelan.ListenNowhere}}, gamelan.WithTransport(dials), gamelan.WithLogger(discard))
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close(context.WithoutCancel(t.Context()))
		b := net.Start(gamelan.Config{})
		key := b.PublicKey().String()
		for _, address := range []string{b.Addr.String(), "/ip4/10.0.0.1/tcp/1"} { // of the second kind the node has no transport
			if _, err := a.Peers().Offer(t.Context(), key+"::"+address); err != nil {
				t.Fatal(err)
			}
			go a.Dial(t.Context(), b.ID())
			synctest.Wait()
		}
		nodetest.Trunk(a).DialAnew()
		time.Sleep(2 * time.Minute)
		for _, x := range a.Inspection().Tree().Snapshot() {
			if strings.HasSuffix(x.Path, "/dialer") && x.Restarts > 0 {
				t.Errorf("got %+v, want a dialer that goes on", x)
			}
		}
	})
}

// TestDialAnewEndsPauses: a peer that could not be reached for long is dialled soon when there may be a new way to it, whether
// it is a seed or protected.
func TestDialAnewEndsPauses(t *testing.T) {
	for _, protected := range []bool{false, true} {
		gamelantest.Bubble(t, func(t *testing.T) {
			net := gamelantest.NewNetwork(t)
			b := net.Start(gamelan.Config{})
			a := net.Start(gamelan.Config{Seeds: []string{b.Seed()}, Floor: 3})
			if protected {
				defer a.Protect(b.ID(), "test")()
			}
			net.Connect(a, b)
			for range 5 {
				net.Partition(a, b)
				time.Sleep(10 * time.Minute)
				if len(a.Connections()) > 0 {
					t.Fatal("they are still connected")
				}
				net.Heal(a, b)
				nodetest.Trunk(a).DialAnew()
				time.Sleep(3 * time.Second)
				if len(a.Connections()) == 0 {
					t.Errorf("protected %v: got no connection soon", protected)
				}
				time.Sleep(10 * time.Minute)
			}
		})
	}
}
