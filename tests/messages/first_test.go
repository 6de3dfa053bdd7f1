package messages

import (
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
	"github.com/gamelan-p2p/gamelan/transport/memory"
)

// firstPair is two nodes, connected by a link of 20 ms there and back.
type firstPair struct {
	from, to *gamelantest.Node
	heard    *gamelantest.Collector // by to
}

// startFirst starts a pair. fault may stop or panic in place of an actor of the receiver.
func startFirst(t *testing.T, cfg gamelan.Config, fault func(path, point string)) firstPair {
	t.Helper()
	net := gamelantest.NewNetwork(t)
	net.SetLink(memory.Link{Latency: 10 * time.Millisecond})
	p := firstPair{heard: gamelantest.NewCollector()}
	p.from = net.Start(cfg, kit.Quiet)
	opts := []gamelan.Option{kit.Quiet, gamelan.WithHandler(p.heard.New), gamelan.WithFault(fault)}
	if !cfg.NoDHT {
		opts = append(opts, gamelan.WithType(kit.TextType, p.heard.New))
	}
	p.to = net.Start(cfg, opts...)
	net.Connect(p.from, p.to)
	return p
}

func (p firstPair) wantHeard(t *testing.T, want int) {
	t.Helper()
	if all := p.heard.Bodies(); len(all) != want {
		t.Errorf("heard: got %q, want %d messages", all, want)
	}
}

// TestBubbleFirstConfirmed: between nodes of this library a first message is confirmed two
// round trips after it was sent, one for the acceptance of the substream and one for the
// ping that follows it. The message is delivered before.
//
// conforms: comms 147
func TestBubbleFirstConfirmed(t *testing.T) {
	fine := func(string, string) {}
	gamelantest.Bubble(t, func(t *testing.T) {
		p := startFirst(t, gamelan.Config{NoDHT: true}, fine)
		began := time.Now()
		first := kit.Enqueue(t, p.from, p.to, "first")
		time.Sleep(11 * time.Millisecond)
		p.wantHeard(t, 1)
		out := first.Wait(t.Context())
		if took := time.Since(began); out.Kind != protocol.Confirmed || took != 40*time.Millisecond {
			t.Errorf("got %v after %v, want confirmed after two round trips, 40ms", out, took)
		}
		began = time.Now()
		out = kit.Enqueue(t, p.from, p.to, "second").Wait(t.Context())
		if took := time.Since(began); out.Kind != protocol.Confirmed || took != 20*time.Millisecond {
			t.Errorf("the second: got %v after %v, want confirmed after one round trip, 20ms", out, took)
		}
		time.Sleep(24 * time.Hour)
		p.wantHeard(t, 2)
	})
	t.Run("dht", func(t *testing.T) {
		gamelantest.Bubble(t, func(t *testing.T) {
			p := startFirst(t, gamelan.Config{}, fine)
			began := time.Now()
			report, err := p.from.DHT().Send(t.Context(), kit.LetterTo(dht.Direct{Peer: p.to.ID()}, "first"))
			if err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); report.Count(protocol.Confirmed) != 1 || took > 60*time.Millisecond {
				t.Errorf("got %v after %v, want it confirmed within 60ms", report.String(), took)
			}
			p.wantHeard(t, 1)
		})
	})
}

// TestBubbleFirstNotTaken: no message is confirmed before the receiver's session has taken
// the substream, although the receiver answers pings all the time.
//
// conforms: comms 147
func TestBubbleFirstNotTaken(t *testing.T) {
	for _, test := range []struct {
		name    string
		session bool // the session is hit, not the actor of the protocol that starts it
		hit     func()
		want    protocol.OutcomeKind
		after   time.Duration
		heard   int
	}{
		{"slow", false, func() { time.Sleep(3 * time.Second) }, protocol.Confirmed, 3*time.Second + 40*time.Millisecond, 1},
		{"slow session", true, func() { time.Sleep(3 * time.Second) }, protocol.Confirmed, 3*time.Second + 40*time.Millisecond, 1},
		{"too slow", false, func() { time.Sleep(15 * time.Second) }, protocol.InDoubt, 10*time.Second + 20*time.Millisecond, 0},
		{"crashed", false, func() { panic("before it takes the substream") }, protocol.InDoubt, 20 * time.Millisecond, 0},
		{"crashed session", true, func() { panic("before it takes the substream") }, protocol.InDoubt, 20 * time.Millisecond, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				var hit atomic.Bool
				p := startFirst(t, gamelan.Config{NoDHT: true}, func(path, point string) {
					if strings.HasSuffix(path, "/messaging") != test.session && strings.Contains(path, "/messaging") &&
						point == "actors.SubstreamOpened" && hit.CompareAndSwap(false, true) {
						test.hit()
					}
				})
				began := time.Now()
				out := kit.Enqueue(t, p.from, p.to, "first").Wait(t.Context())
				if took := time.Since(began); out.Kind != test.want || took != test.after {
					t.Errorf("got %v after %v, want %v after %v", out, took, test.want, test.after)
				}
				if !hit.Load() {
					t.Error("nothing was hit, want it once")
				}
				p.wantHeard(t, test.heard)
				if out := kit.Enqueue(t, p.from, p.to, "second").Wait(t.Context()); out.Kind != protocol.Confirmed {
					t.Errorf("the next message: got %v, want confirmed", out)
				}
			})
		})
	}
}

// TestBubbleFirstAfterReconnects: a peer reconnects many times in a second, and its session
// hears of each new substream before the old one is read to its end. No first message is
// refused: only a substream that takes over from a living one counts for the limit of V 14.
//
// conforms: V 14
func TestBubbleFirstAfterReconnects(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		var opened, reading atomic.Int32
		net := gamelantest.NewNetwork(t)
		net.SetLink(memory.Link{Latency: time.Millisecond})
		heard := gamelantest.NewCollector()
		from := net.Start(gamelan.Config{NoDHT: true}, kit.Quiet)
		to := net.Start(gamelan.Config{NoDHT: true}, kit.Quiet, gamelan.WithHandler(heard.New), gamelan.WithFault(func(path, point string) {
			switch {
			case !strings.Contains(path, "/messaging/"):
			case point == "actors.SubstreamOpened":
				opened.Add(1)
			case strings.HasPrefix(point, "task reader-"): // waits for the next substream
				for n := reading.Add(1); n >= opened.Load() && n < reconnects; {
					time.Sleep(100 * time.Microsecond)
				}
				time.Sleep(100 * time.Microsecond)
			}
		}))
		net.Introduce(from, to)
		began := time.Now()
		for i := range reconnects {
			if out := kit.Enqueue(t, from, to, "first").Wait(t.Context()); out.Kind != protocol.Confirmed {
				t.Fatalf("message %d: got %v, want confirmed", i+1, out)
			}
			net.Cut(from, to)
			synctest.Wait()
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("got %d reconnects in %v, want more than ten in a second", reconnects, took)
		}
		time.Sleep(time.Second)
		if got := heard.Len(); got != reconnects {
			t.Errorf("got %d messages, want all %d", got, reconnects)
		}
	})
}

// reconnects is how often the peer of TestBubbleFirstAfterReconnects connects.
const reconnects = 100
