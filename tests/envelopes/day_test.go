package envelopes

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/tests/internal/bubbled"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// TestBubbleDHTDay has nodes gossip and write to each other over the DHT for a
// virtual hour, with GAMELAN_LONG two, or with GAMELAN_DHT_DAY=1 for 24, while connections are cut
// now and then: all gossip is heard by everybody once, all that is encrypted
// arrives once, every send has its report, nobody is banned, no credit is lost and
// neither goroutines nor memory grow.
func TestBubbleDHTDay(t *testing.T) {
	nodes, hours := 12, 1
	switch {
	case os.Getenv("GAMELAN_DHT_DAY") != "":
		nodes, hours = 20, 24
	case os.Getenv("GAMELAN_LONG") != "" && !kit.RaceEnabled:
		hours = 2
	}
	began := time.Now()
	gamelantest.Bubble(t, func(t *testing.T) { dhtDay(t, nodes, hours) })
	t.Logf("%d nodes, %d virtual hours in %v", nodes, hours, time.Since(began).Round(time.Second))
}

func dhtDay(t *testing.T, nodes, hours int) {
	net := gamelantest.NewNetwork(t)
	net.SetLink(kit.SlowLink)
	r := rand.New(rand.NewPCG(1, 2))
	all := make([]kit.Member, nodes)
	letters := make([]*gamelantest.Collector, nodes)
	for i := range all {
		heard := gamelantest.NewCollector()
		letters[i] = gamelantest.NewCollector()
		n := net.Start(gamelan.Config{DHT: &gamelan.DHTConfig{}}, kit.Quiet,
			gamelan.WithType(kit.TextType, func(n *gamelan.Node) actor.Actor { return kit.NewGossiper(n, heard) }),
			gamelan.WithType(kit.TextType+1, letters[i].New))
		all[i] = kit.Member{Node: n, Heard: heard}
	}
	link := func(i, step int) { net.Connect(all[i].Node, all[(i+step)%nodes].Node) }
	for i := range all {
		link(i, 1)
		link(i, 2)
	}
	gossip, lettersTo := 0, make([]int, nodes)
	hour := func(gossips int) {
		for range gossips {
			from := r.IntN(nodes)
			gossip++
			kit.Send(t, all[from], kit.LetterTo(dht.Propagate{}, fmt.Sprintf("news %d", gossip)))
			to := (from + 1 + r.IntN(nodes-1)) % nodes
			lettersTo[to]++
			kit.Send(t, all[from], dht.Message{
				To: dht.Propagate{To: all[to].PublicKey()}, Type: kit.TextType + 1, Encrypt: true,
				Body: fmt.Appendf(nil, "letter %d", gossip),
			})
			time.Sleep(time.Minute) // all is quiet
			if r.IntN(10) == 0 {
				i := r.IntN(nodes)
				net.Cut(all[i].Node, all[(i+1)%nodes].Node)
				time.Sleep(time.Second)
				link(i, 1)
			}
		}
	}
	hour(30)
	synctest.Wait()
	goroutines, memory := bubbled.Count(), kit.Heap()
	for range hours {
		hour(60)
	}
	time.Sleep(2 * time.Minute)
	synctest.Wait()
	now := bubbled.Count()
	for range 10 { // a leak stays, a task that was under way does not
		time.Sleep(time.Second)
		synctest.Wait()
		now = min(now, bubbled.Count())
	}
	if now > goroutines {
		t.Errorf("goroutines: got %d, want at most the %d of the beginning", now, goroutines)
	}
	t.Logf("heap %d kB, in the beginning %d; %d messages of gossip", kit.Heap()>>10, memory>>10, gossip)
	mine := make(map[string]bool)
	for i, m := range all {
		once := make(map[string]int)
		for _, body := range m.Heard.Bodies() {
			once[body]++
		}
		own := 0
		for k := 1; k <= gossip; k++ {
			switch n := once[fmt.Sprintf("news %d", k)]; {
			case n > 1:
				t.Errorf("node %d heard news %d %d times", i, k, n)
			case n == 0:
				own++
				if mine[fmt.Sprint(k)] {
					t.Errorf("news %d: two nodes have not heard it, want its author alone", k)
				}
				mine[fmt.Sprint(k)] = true
			}
		}
		if got := letters[i].Len(); got != lettersTo[i] {
			t.Errorf("node %d: got %d letters, want %d", i, got, lettersTo[i])
		}
		if accepted, ended := nodetest.DHT(m).Ledger.Counts(); accepted != ended {
			t.Errorf("node %d: got %d sends, %d ended", i, accepted, ended)
		}
		if in, _, out, _ := nodetest.Trunk(m).Credit(); in != 0 || out != 0 {
			t.Errorf("node %d: got %d and %d bytes of credit in use", i, in, out)
		}
		for p := range m.Peers().All() {
			if p.Banned(time.Now()) {
				t.Errorf("node %d has banned %s: %s", i, p.ID, p.BanReason)
			}
		}
	}
	if len(mine) != gossip {
		t.Errorf("got %d messages not heard by one node, want each by its author: %d", len(mine), gossip)
	}
}
