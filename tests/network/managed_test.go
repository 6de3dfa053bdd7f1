//go:build !race

// With the race detector the runtime itself crashes in this test, in about every
// other run and with Go 1.26 (ThreadSanitizer: CHECK failed, or a fault while a
// stack is copied): hours of many nodes in a bubble seem to be too much for it.
// The tests of the same paths run with it.

package network

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/tests/internal/bubbled"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// managedFloor is how many connections each node keeps, of twice as many peers
// that it knows.
const managedFloor = 4

// TestBubbleManaged leaves nodes to themselves for a while: each knows some
// others and keeps its floor, messages go between all who are connected, and now
// and then the network cuts a connection. No message is lost without a word,
// everybody has the floor again in the end, and memory and goroutines stay what
// they are.
//
// With GAMELAN_LONG there are more nodes for longer; GAMELAN_VIRTUAL_SOAK=24h makes it
// 200 nodes for so long.
func TestBubbleManaged(t *testing.T) {
	nodes, virtual := 10, 15*time.Minute
	if os.Getenv("GAMELAN_LONG") != "" && !kit.RaceEnabled {
		nodes, virtual = 24, 2*time.Hour
	}
	if text := os.Getenv("GAMELAN_VIRTUAL_SOAK"); text != "" {
		var err error
		if virtual, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
		nodes = 200
	}
	began := time.Now()
	gamelantest.Bubble(t, func(t *testing.T) { managed(t, nodes, virtual) })
	t.Logf("%d nodes, %v of virtual time in %v", nodes, virtual, time.Since(began).Round(time.Second))
}

// counted hears and counts.
type counted struct{ heard *atomic.Uint64 }

// Receive counts a message.
func (h counted) Receive(c actor.Context) {
	if _, ok := c.Message().(actors.Received); ok {
		h.heard.Add(1)
	}
}

// managedNodes are many nodes and what they did.
type managedNodes struct {
	t     *testing.T
	net   *gamelantest.Network
	nodes []*gamelantest.Node
	r     *rand.Rand

	heard                  atomic.Uint64
	sent, confirmed, other atomic.Uint64
	cuts                   int
	sending                sync.WaitGroup
}

func managed(t *testing.T, nodes int, virtual time.Duration) {
	c := &managedNodes{t: t, net: kit.Asking(t), r: rand.New(rand.NewPCG(1, 2))}
	for range nodes {
		c.nodes = append(c.nodes, c.net.Start(gamelan.Config{Floor: managedFloor}, kit.Quiet,
			gamelan.WithHandler(func(*gamelan.Node) actor.Actor { return counted{&c.heard} })))
	}
	for i, n := range c.nodes {
		for step := range 2 * managedFloor {
			c.net.Introduce(n, c.nodes[(i+step+1)%nodes])
		}
	}
	c.pass(time.Hour) // caches and pools find their size
	first := c.look()
	t.Logf("%8v: %v", time.Hour, first)
	for passed := time.Duration(0); passed < virtual; passed += time.Hour {
		c.pass(time.Hour)
		if hour := passed + 2*time.Hour; hour%(4*time.Hour) == 0 {
			t.Logf("%8v: %v", hour, c.look())
		}
	}
	last := c.look()
	if !last.like(first) {
		t.Errorf("got %v, want as after the first hour, %v", last, first)
	}
	sent, confirmed, other := c.sent.Load(), c.confirmed.Load(), c.other.Load()
	heard := c.heard.Load()
	t.Logf("%d sent, %d confirmed, %d in doubt or failed, %d heard; %d connections cut", sent, confirmed, other, heard, c.cuts)
	if confirmed+other != sent || heard < confirmed || heard > sent {
		t.Errorf("got %d sent, %d confirmed, %d in doubt or failed and %d heard, want an outcome for each, and what was confirmed heard", sent, confirmed, other, heard)
	}
}

// pass lets time go by: every minute each node sends to one that it is connected
// to, and every ten a connection in a hundred is cut.
func (c *managedNodes) pass(d time.Duration) {
	for minute := range int(d / time.Minute) {
		for _, n := range c.nodes {
			all := n.Connections()
			if len(all) == 0 {
				continue
			}
			to := all[c.r.IntN(len(all))].Peer
			c.sent.Add(1)
			c.sending.Go(func() {
				if out, err := n.Send(context.Background(), to, make([]byte, 300)); err == nil && out.Kind == protocol.Confirmed {
					c.confirmed.Add(1)
				} else {
					c.other.Add(1)
				}
			})
		}
		if minute%10 == 9 {
			for range max(1, len(c.nodes)/25) {
				i := c.r.IntN(len(c.nodes))
				c.cuts += c.net.Cut(c.nodes[i], c.nodes[(i+1+c.r.IntN(2*managedFloor))%len(c.nodes)])
			}
		}
		time.Sleep(time.Minute)
	}
	c.sending.Wait()
}

// state is what the nodes are made of when nothing goes on.
type state struct {
	connections, goroutines int
	live                    uint64
}

func (s state) String() string {
	return fmt.Sprintf("%d ends of connections, %d goroutines, %.1f MiB live", s.connections, s.goroutines, float64(s.live)/(1<<20))
}

// like compares by connection: how many there are above the floor is chance.
func (s state) like(first state) bool {
	return s.goroutines*first.connections <= first.goroutines*s.connections+first.goroutines*first.connections/50 &&
		s.live < first.live*5/4+8<<20
}

// look waits for the floor and measures.
func (c *managedNodes) look() state {
	c.t.Helper()
	gamelantest.Eventually(c.t, 10*time.Minute, "the floor for every node", func() bool {
		for _, n := range c.nodes {
			if len(n.Connections()) < managedFloor {
				return false
			}
		}
		return true
	})
	time.Sleep(15 * time.Minute) // dials in flight end, and what is idle
	synctest.Wait()
	var s state
	for _, n := range c.nodes {
		s.connections += len(n.Connections())
	}
	s.goroutines = bubbled.Count()
	runtime.GC()
	runtime.GC()
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	s.live = live[0].Value.Uint64()
	return s
}
