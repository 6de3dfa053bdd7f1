package tests

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/transport/memory"
)

// crossings is how many times the two nodes dial each other at once.
const crossings = 100

// TestBubbleCrossingDials has two nodes dial each other at the same time, over
// links of random latency, and send at once. One connection survives, the same
// at both ends: when both dials got through, that of the smaller node id. Who
// closes the other one announces nothing. No message fails, none that was
// confirmed is lost, and with Resend all arrive.
//
// conforms: comms 115, 117
func TestBubbleCrossingDials(t *testing.T) {
	for _, resend := range []bool{false, true} {
		t.Run(fmt.Sprintf("resend=%v", resend), func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) { crossDials(t, resend) })
		})
	}
}

func crossDials(t *testing.T, resend bool) {
	random := rand.New(rand.NewPCG(1, 2))
	net := gamelantest.NewNetwork(t)
	var nodes [2]*gamelantest.Node
	var heard [2]*gamelantest.Collector
	var log [2]*eventLog
	for i := range nodes {
		heard[i] = gamelantest.NewCollector()
		nodes[i] = net.Start(gamelan.Config{}, quiet, gamelan.WithHandler(heard[i].New))
		log[i] = watch(t, nodes[i])
	}
	net.Introduce(nodes[0], nodes[1])
	net.Introduce(nodes[1], nodes[0])
	var opts []gamelan.SendOption
	if resend {
		opts = append(opts, gamelan.Resend())
	}
	const each = 5
	crossed := 0
	var confirmed, sent [2][]string
	for round := range crossings {
		net.SetLink(memory.Link{
			Latency: time.Duration(1+random.IntN(50)) * time.Millisecond,
			Jitter:  time.Duration(random.IntN(50)) * time.Millisecond,
		})
		var wait sync.WaitGroup
		for i := range nodes {
			delay := time.Duration(random.IntN(100)) * time.Millisecond
			other := nodes[1-i]
			bodies := numbered(fmt.Sprintf("round %d message", round), each)
			sent[i] = append(sent[i], bodies...)
			wait.Go(func() {
				time.Sleep(delay)
				var pending []*gamelan.Pending
				for _, body := range bodies {
					pending = append(pending, enqueue(t, nodes[i], other, body, opts...))
				}
				for k, p := range pending {
					switch out := p.Wait(t.Context()); {
					case out.Kind == protocol.Confirmed:
						confirmed[i] = append(confirmed[i], bodies[k])
					case out.Kind == protocol.Failed, resend:
						t.Errorf("node %d, %s: got %v", i+1, bodies[k], out)
					}
				}
			})
		}
		wait.Wait()
		time.Sleep(5 * time.Second) // whatever lost is gone
		synctest.Wait()
		crossed += checkSurvivor(t, round, nodes, log)
		disconnect(t, nodes, log)
	}
	t.Logf("%d of %d rounds ended in two connections at once", crossed, crossings)
	if crossed < crossings/10 {
		t.Errorf("got %d rounds with two connections, want more: the test does not test", crossed)
	}
	for i := range nodes {
		got := heard[1-i].Bodies()
		for _, body := range confirmed[i] {
			if !slices.Contains(got, body) {
				t.Errorf("node %d, %s: confirmed and not heard", i+1, body)
			}
		}
		for _, body := range sent[i] {
			if resend && !slices.Contains(got, body) {
				t.Errorf("node %d, %s: not heard", i+1, body)
			}
		}
		gamelantest.Healed(t, nodes[i].Node)
	}
}

// checkSurvivor looks at the one connection that is left, and returns 1 if
// there were two.
func checkSurvivor(t *testing.T, round int, nodes [2]*gamelantest.Node, log [2]*eventLog) (crossed int) {
	t.Helper()
	var refs [2]*gamelan.Connection
	for i, n := range nodes {
		all := n.Connections()
		if len(all) != 1 {
			t.Fatalf("round %d, node %d: got %d connections, want 1", round, i+1, len(all))
		}
		refs[i] = all[0]
	}
	if refs[0].Direction == refs[1].Direction {
		t.Errorf("round %d: both ends call their connection %s", round, refs[0].Direction)
	}
	if n := conns(nodes[0]); n != 1 || conns(nodes[1]) != 1 {
		t.Errorf("round %d: got %d and %d connection actors, want 1 each", round, n, conns(nodes[1]))
	}
	smaller := 0
	if nodes[1].ID().Compare(nodes[0].ID()) < 0 {
		smaller = 1
	}
	for i := range nodes {
		connected, disconnected := log[i].take()
		for _, why := range disconnected {
			// The other side may be told of the end before it is told of the
			// survivor, but never by us.
			if why.By == "us" {
				t.Errorf("round %d, node %d: got a disconnected event, %v, want none", round, i+1, why)
			}
		}
		if connected > 1 {
			crossed = 1
		}
	}
	if crossed == 1 && refs[smaller].Direction != protocol.Outbound {
		t.Errorf("round %d: the connection dialled by the larger node id survived", round)
	}
	return crossed
}

// conns counts the connection actors of a node.
func conns(n *gamelantest.Node) (count int) {
	for _, info := range n.Tree().Snapshot() {
		if info.Kind == "conn" {
			count++
		}
	}
	return count
}

func disconnect(t *testing.T, nodes [2]*gamelantest.Node, log [2]*eventLog) {
	t.Helper()
	if err := nodes[0].Disconnect(t.Context(), nodes[1].ID()); err != nil {
		t.Fatal(err)
	}
	gamelantest.Eventually(t, time.Minute, "both sides disconnected", func() bool {
		return len(nodes[0].Connections())+len(nodes[1].Connections()) == 0
	})
	synctest.Wait()
	for i := range nodes {
		if _, disconnected := log[i].take(); len(disconnected) != 1 {
			t.Errorf("node %d disconnected: got events %v, want 1", i+1, disconnected)
		}
	}
}

// eventLog is what a node says of its connections.
type eventLog struct {
	mu           sync.Mutex
	connected    int
	disconnected []actors.CloseReason
}

func watch(t *testing.T, n *gamelantest.Node) *eventLog {
	l := new(eventLog)
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	go func() {
		for e := range n.Events(ctx) {
			l.mu.Lock()
			switch event := e.Value.(type) {
			case actors.PeerConnected:
				l.connected++
			case actors.PeerDisconnected:
				l.disconnected = append(l.disconnected, event.Reason)
			}
			l.mu.Unlock()
		}
	}()
	synctest.Wait() // it listens
	return l
}

// take returns what happened since the last time.
func (l *eventLog) take() (connected int, disconnected []actors.CloseReason) {
	l.mu.Lock()
	defer l.mu.Unlock()
	connected, disconnected = l.connected, l.disconnected
	l.connected, l.disconnected = 0, nil
	return connected, disconnected
}
