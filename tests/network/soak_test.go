package network

import (
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/tests/internal/bubbled"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// soakSteps is how many of the next on a ring each node dials: twice as many
// connections has each.
const soakSteps = 2

// TestBubbleSoak keeps 20 nodes with 4 connections each alive for a virtual
// hour, or with GAMELAN_LONG=1 100 nodes for a virtual day. At the end the same
// connections are there, each carries a message, and no goroutine has come on
// top.
func TestBubbleSoak(t *testing.T) {
	nodes, virtual := 20, time.Hour
	if os.Getenv("GAMELAN_LONG") != "" && !kit.RaceEnabled {
		nodes, virtual = 100, 24*time.Hour
	}
	began := time.Now()
	gamelantest.Bubble(t, func(t *testing.T) { soak(t, nodes, virtual) })
	t.Logf("%d nodes, %d connections, %v of virtual time in %v", nodes, nodes*soakSteps, virtual, time.Since(began).Round(time.Millisecond))
}

func soak(t *testing.T, soakNodes int, soakTime time.Duration) {
	heard := gamelantest.NewCollector()
	net := gamelantest.NewNetwork(t)
	nodes := make([]*gamelantest.Node, soakNodes)
	logs := make([]*eventLog, soakNodes)
	for i := range nodes {
		nodes[i] = net.Start(gamelan.Config{}, gamelan.WithHandler(heard.New))
		logs[i] = watch(t, nodes[i])
	}
	for i, n := range nodes {
		for step := range soakSteps {
			net.Connect(n, nodes[(i+step+1)%soakNodes])
		}
	}
	time.Sleep(time.Minute)
	synctest.Wait()
	first := make([][]*gamelan.Connection, soakNodes)
	for i, n := range nodes {
		first[i] = n.Connections()
		if len(first[i]) != 2*soakSteps {
			t.Fatalf("node %d: got %d connections, want %d", i+1, len(first[i]), 2*soakSteps)
		}
	}
	goroutines := bubbled.Count()

	time.Sleep(soakTime)
	synctest.Wait()
	now := bubbled.Count()
	for range 10 { // a leak stays, a task that was under way does not
		if now <= goroutines {
			break
		}
		time.Sleep(time.Second)
		synctest.Wait()
		now = bubbled.Count()
	}
	if now > goroutines {
		t.Errorf("goroutines: got %d, want at most the %d of the first minute", now, goroutines)
	}
	for i, n := range nodes {
		last := n.Connections()
		if len(last) != len(first[i]) {
			t.Errorf("node %d: got %d connections, want %d", i+1, len(last), len(first[i]))
			continue
		}
		for k, ref := range last {
			if ref.ID != first[i][k].ID {
				t.Errorf("node %d: the connection to %s is not that of the first minute", i+1, ref.Peer)
			}
		}
		for _, ref := range last {
			if out, err := n.Send(t.Context(), ref.Peer, []byte("still there?")); err != nil || out.Kind != protocol.Confirmed {
				t.Errorf("node %d to %s: got %v, %v, want confirmed", i+1, ref.Peer, out, err)
			}
		}
		if _, lost := logs[i].take(); len(lost) > 0 {
			t.Errorf("node %d: got disconnected events %v, want none", i+1, lost)
		}
	}
	synctest.Wait()
	if got, want := heard.Len(), soakNodes*2*soakSteps; got != want {
		t.Errorf("got %d messages at the end, want %d", got, want)
	}
}
