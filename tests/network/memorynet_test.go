package network

import (
	"cmp"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/examples/memorynet/lab"
)

// TestMemorynet has a network find itself over loopback TCP: 12 nodes and 2 wallets, or with
// GAMELAN_LONG the 40 nodes and 5 wallets of the example.
func TestMemorynet(t *testing.T) {
	nodes, wallets := 12, 2
	if os.Getenv("GAMELAN_LONG") != "" {
		nodes, wallets = 40, 5
	}
	r, err := newLab(t, lab.Config{Nodes: nodes, Wallets: wallets, TCP: true}).Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wantOK(t, r)
}

// wantOK wants that all phases have reached their goals.
func wantOK(t *testing.T, r *lab.Report) {
	t.Helper()
	var table strings.Builder
	if err := r.Text(&table); err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", &table)
	if !r.OK() {
		t.Error("a phase has missed its goal")
	}
}

// TestMemoryNetworkOf40 has the reference's network find itself in memory: with GAMELAN_LONG 40
// nodes, a seed and 5 wallets, otherwise 14 nodes, a seed and 2 wallets. Then a wallet goes
// away, with GAMELAN_LONG each in turn, and gets what was sent to it.
//
// conforms: dht 142
func TestMemoryNetworkOf40(t *testing.T) {
	c, times := lab.Config{Nodes: 14, Wallets: 2}, 1 // and the one of Run
	if os.Getenv("GAMELAN_LONG") != "" {
		c, times = lab.Config{Nodes: 40, Wallets: 5}, 4
	}
	l := newLab(t, c)
	r, err := l.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range times {
		p, err := l.Away(t.Context(), 4)
		if err != nil {
			t.Fatal(err)
		}
		r.Phases = append(r.Phases, p)
	}
	wantOK(t, r)
}

// newLab returns a network whose phases have two minutes each, unless c says otherwise.
func newLab(t *testing.T, c lab.Config) *lab.Lab {
	t.Helper()
	c.Random, c.Limit = 1, cmp.Or(c.Limit, 2*time.Minute)
	l, err := lab.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// Limits of TestLargeNetwork.
const (
	largeSearches = 100
	largeNews     = 20
	largeMemory   = 6 << 30
)

// TestLargeNetwork has 16 nodes in one process find each other, or as many as
// GAMELAN_NETWORK says. Then random nodes search for each other, and news of random nodes
// reaches all nodes but at most one.
func TestLargeNetwork(t *testing.T) {
	nodes, searches, news := 16, 10, 3
	if text := os.Getenv("GAMELAN_NETWORK"); text != "" {
		var err error
		if nodes, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
		searches, news = largeSearches, largeNews
	}
	began := time.Now()
	l := newLab(t, lab.Config{Nodes: nodes, Joining: 32, Limit: 5 * time.Minute, Change: func(k lab.Kind, c *gamelan.Config) {
		if k == lab.Seed {
			c.MaxInbound = 2 * nodes // all nodes know this seed alone
		}
	}})
	done := func(p lab.Phase, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %v, %d messages: %s", p.Name, p.Took.Round(time.Millisecond), p.Messages, p.Result)
		if !p.OK {
			t.Errorf("%s has missed its goal", p.Name)
		}
	}
	done(l.Start(t.Context()))
	done(l.Join(t.Context()))
	p, _, err := l.Newcome(t.Context())
	done(p, err)
	p, _, err = l.Discover(t.Context(), l.RandomPairs(searches))
	done(p, err)
	p, all, err := l.Propagate(t.Context(), news, 1)
	done(p, err)
	for i, g := range all {
		t.Logf("news %d of %s reached %d nodes in %v; %.1f copies for a node", i+1, l.Members[g.Origin].Name, g.Reached, g.Took.Round(time.Millisecond), g.Copies())
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	t.Logf("%d nodes: %v, %d MiB of the system's memory, %d goroutines", 1+nodes, time.Since(began).Round(time.Second), m.Sys>>20, runtime.NumGoroutine())
	if m.Sys > largeMemory {
		t.Errorf("got %d MiB, want at most %d", m.Sys>>20, largeMemory>>20)
	}
}
