package network

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// readers returns the names of the tasks that read messages of peers of a node.
func readers(t *testing.T, n *gamelantest.Node) (names []string) {
	t.Helper()
	for a := range n.Inspection().Look(t.Context()).All() {
		for _, task := range a.Tasks {
			if a.Kind == "messagingSession" && strings.HasPrefix(task.Name, "reader-") {
				names = append(names, a.Name+" "+task.Name)
			}
		}
	}
	return names
}

// TestBubbleAlone: when messages come alone, no task reads them, and whatever comes next, in
// whatever pieces and with whatever credit, all of it is delivered once and in its order.
func TestBubbleAlone(t *testing.T) {
	for seed := range uint64(20) {
		gamelantest.Bubble(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 7))
			net := gamelantest.NewNetwork(t)
			net.SetLink(kit.SlowLink)
			heard := gamelantest.NewCollector()
			a := net.Start(gamelan.Config{NoDHT: true}, kit.Quiet)
			b := net.Start(gamelan.Config{NoDHT: true}, kit.Quiet, gamelan.WithHandler(heard.New))
			net.Connect(a, b)
			var want []string
			var open []*gamelan.Pending[gamelan.Outcome]
			say := func(size int) {
				body := fmt.Sprintf("%d ", len(want))
				body += strings.Repeat("x", max(0, size-len(body)))
				want = append(want, body)
				open = append(open, kit.Enqueue(t, a, b, body))
			}
			hear := func() {
				for _, p := range open {
					if err := p.Wait(t.Context()).AsError(); err != nil {
						t.Error(err)
					}
				}
				open = nil
				synctest.Wait()
			}
			for range 20 {
				say(random.IntN(2000))
				hear()
			}
			if got := readers(t, b); len(got) != 0 {
				t.Errorf("got tasks %q after 20 messages that came alone, want none", got)
			}
			sizes := []int{0, 1, 32, 1 << 10, 2034, 2035, 2036, 3000, 20 << 10, 70 << 10}
			for range 30 {
				switch random.IntN(6) {
				case 0: // a burst
					for range random.IntN(100) {
						say(sizes[random.IntN(4)])
					}
				case 1: // a handler that lets credit run out
					unblock := heard.Block()
					for range 1 + random.IntN(12) {
						say(sizes[random.IntN(len(sizes))])
						time.Sleep(time.Duration(random.IntN(3)) * time.Millisecond)
					}
					time.Sleep(time.Duration(random.IntN(300)) * time.Millisecond)
					unblock()
				case 2: // a pause in which the reader parks anyway
					time.Sleep(5 * time.Second)
				default:
					for range random.IntN(30) {
						say(sizes[random.IntN(7)])
						hear()
					}
				}
			}
			hear()
			time.Sleep(time.Second)
			kit.WantBodies(t, "the receiver", heard.Bodies(), want)
		})
	}
}
