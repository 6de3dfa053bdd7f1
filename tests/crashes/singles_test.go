package crashes

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/transport/memory"
)

// TestSingles sends single messages, 5 to 400 µs apart, so that at each moment some are
// written and the session does not know it yet, while connections are cut and closed and
// sessions and writers crash. GAMELAN_ACTOR_SEED is the seed of the first of
// 12 rounds, and of 40 with GAMELAN_LONG.
func TestSingles(t *testing.T) {
	first := uint64(1)
	if text := os.Getenv("GAMELAN_ACTOR_SEED"); text != "" {
		var err error
		if first, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	rounds := uint64(12)
	if os.Getenv("GAMELAN_LONG") != "" {
		rounds = 40
	}
	var sum tally
	for seed := first; seed < first+rounds; seed++ {
		gamelantest.Bubble(t, func(t *testing.T) { sum.add(singles(t, seed)) })
		if t.Failed() {
			t.Fatalf("repeat it with GAMELAN_ACTOR_SEED=%d", seed)
		}
	}
	t.Log(sum)
}

func singles(t *testing.T, seed uint64) tally {
	r := rand.New(rand.NewPCG(seed, 4))
	net := gamelantest.NewNetwork(t)
	links := []memory.Link{{}, {Latency: 50 * time.Microsecond}, {Latency: 2 * time.Millisecond}}
	net.SetLink(links[r.IntN(len(links))])
	quiet := gamelan.WithLogger(slog.New(slog.DiscardHandler))
	f := &faults{seen: make(map[point]int)}
	ear := new(ears)
	a := net.Start(gamelan.Config{}, gamelan.WithFault(f.hit), quiet)
	b := net.Start(gamelan.Config{}, gamelan.WithHandler(ear.New), quiet)
	net.Introduce(a, b)
	net.Introduce(b, a)
	n := newNumbers(net, a, b)
	n.call(10)
	time.Sleep(time.Second)
	session := "services/plain/" + b.ID().String()
	well := true
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		r := rand.New(rand.NewPCG(seed, 5))
		for ctx.Err() == nil {
			switch r.IntN(60) {
			case 0:
				n.call(r.IntN(200))
			case 1:
				for range r.IntN(20) {
					net.System.Root.Send(n.actor, send{r.IntN(200)})
				}
			case 2:
				net.System.Root.Send(n.actor, send{r.IntN(100_000)})
			case 3:
				time.Sleep(time.Duration(r.IntN(3000)) * time.Millisecond)
			default:
				net.System.Root.Send(n.actor, send{r.IntN(200)})
			}
			time.Sleep(time.Duration(5+r.IntN(395)) * time.Microsecond)
		}
	}()
	points := []string{"messengers.wroteSome", "messengers.proofDue", "connections.WritesConfirmed", "messengers.writerTick", "supervisor.TaskDone", "messengers.takeQueued", "messengers.wrote", "task writer-n"}
	for range 30 {
		time.Sleep(time.Duration(r.IntN(20_000)) * time.Microsecond)
		switch r.IntN(7) {
		case 0:
			net.Cut(a, b)
		case 1:
			go a.Disconnect(context.Background(), b.ID())
		case 2:
			go b.Disconnect(context.Background(), a.ID())
		case 3:
			gamelantest.Crash(a.Node, session, "a bug")
		case 4:
			f.arm(point{"node/services/plain/*", points[r.IntN(len(points))]}, r.IntN(3))
		case 5: // a crash of the receiver's session may lose what it has confirmed but not handled
			if seed%2 == 0 {
				net.Cut(a, b)
				break
			}
			well = false
			gamelantest.Crash(b.Node, "services/plain/"+a.ID().String(), "a bug")
		case 6:
			time.Sleep(time.Duration(r.IntN(3000)) * time.Millisecond)
		}
	}
	f.arm(point{}, 0)
	if seed%3 == 0 { // the end of the node with messages written and not collected
		go func() { time.Sleep(time.Duration(r.IntN(2000)) * time.Microsecond); cancel() }()
		limit, stop := context.WithTimeout(context.Background(), 30*time.Second)
		defer stop()
		a.Close(limit)
	} else {
		cancel()
	}
	<-done
	n.waiting.Wait()
	time.Sleep(10 * time.Minute)
	synctest.Wait()
	n.check(t, ear.take(), well)
	if seed%3 != 0 {
		for _, x := range []*gamelantest.Node{a, b} {
			if in, _, out, _ := nodetest.Trunk(x).Credit(); in != 0 || out != 0 {
				t.Errorf("node %d: got %d and %d bytes of credit in use, want none", x.Number, in, out)
			}
		}
	}
	return n.total
}
