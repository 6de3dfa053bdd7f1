package gamelan_test

import (
	"context"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// TestEverythingAtOnce has four nodes send, dial, disconnect, hold and ban each
// other at random while connections break and actors crash. Every call ends in
// its time, and afterwards nothing is left and everybody reaches everybody.
func TestEverythingAtOnce(t *testing.T) {
	seeds := uint64(3)
	if os.Getenv("GAMELAN_LONG") != "" {
		seeds = 8
	}
	for seed := range seeds {
		gamelantest.Bubble(t, func(t *testing.T) { chaos(t, rand.New(rand.NewPCG(seed, 1))) })
	}
}

func chaos(t *testing.T, r *rand.Rand) {
	net := gamelantest.NewNetwork(t)
	net.SetLink(slowLink)
	var nodes []*gamelantest.Node
	for range 4 {
		nodes = append(nodes, net.Start(gamelan.Config{PeerCredit: 16 << 10}, gamelan.WithLogger(discard),
			gamelan.WithHandler(gamelantest.NewCollector().New), gamelan.WithProtocol("/echo/1", newEcho)))
	}
	pairs := func(f func(a, b *gamelantest.Node)) {
		for _, a := range nodes {
			for _, b := range nodes {
				if a != b {
					f(a, b)
				}
			}
		}
	}
	pairs(net.Introduce)

	const longest = 3 * time.Second
	crashing := []string{"dialer", "conns", "services/messaging", "services/plain", "services", "extensions", "peers", "connectivity"}
	var calls sync.WaitGroup
	for range 300 {
		at := r.Perm(len(nodes))
		a, b, kind := nodes[at[0]], nodes[at[1]], r.IntN(9)
		limit := time.Duration(1 + r.Int64N(int64(longest)))
		calls.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			began := time.Now()
			call(t, ctx, net, a, b, kind)
			if took := time.Since(began); took > limit+longest/10 {
				t.Errorf("call of kind %d: got an end after %v, want one after %v", kind, took, limit)
			}
		})
		if r.IntN(60) == 0 {
			gamelantest.Crash(a.Node, crashing[r.IntN(len(crashing))], "a bug")
		}
		time.Sleep(time.Duration(r.IntN(30)) * time.Millisecond)
	}
	calls.Wait()

	time.Sleep(2 * time.Minute)
	for _, n := range nodes {
		gamelantest.Healed(t, n.Node)
		if in, _, out, _ := nodetest.Trunk(n).Credit(); in != 0 || out != 0 {
			t.Errorf("node %d: got %d and %d bytes of credit in use, want none", n.Number, in, out)
		}
	}
	pairs(func(a, b *gamelantest.Node) {
		out, err := a.Send(t.Context(), b.ID(), nil)
		wantOutcome(t, "afterwards", out, err, protocol.Confirmed, protocol.ReasonNone)
	})
}

func call(t *testing.T, ctx context.Context, net *gamelantest.Network, a, b *gamelantest.Node, kind int) {
	switch kind {
	default:
		if out, err := a.Send(ctx, b.ID(), make([]byte, 3000)); err == nil && out.Kind == 0 {
			t.Error("send: got neither an outcome nor an error")
		}
	case 1:
		if s, err := a.OpenStream(ctx, b.ID(), "/echo/1"); err == nil {
			s.Close()
		}
	case 2:
		a.Dial(ctx, b.ID())
	case 3:
		a.Disconnect(ctx, b.ID())
	case 4:
		net.Cut(a, b)
	case 5:
		a.Protect(b.ID(), "test")()
	case 6:
		a.Peers().Ban(ctx, b.ID(), time.Second, "a test")
	}
}
