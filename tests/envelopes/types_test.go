package envelopes

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// TestBubbleTypesInOrder has several peers send at once to a node with several
// shards. What one peer sends for one type is heard in order, while the handler
// of another type stands still.
func TestBubbleTypesInOrder(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		net.SetLink(kit.SlowLink)
		heard := kit.NewLetters()
		to := net.Start(gamelan.Config{DHT: &gamelan.DHTConfig{Shards: 3}},
			gamelan.WithType(1000, heard.New), gamelan.WithType(1001, heard.New), gamelan.WithType(1002, heard.New))
		var senders []*gamelantest.Node
		for range 6 {
			from := net.Start(gamelan.Config{DHT: &gamelan.DHTConfig{}})
			net.Connect(from, to)
			senders = append(senders, from)
		}
		unblock := heard.Block(1002)
		const each = 300
		var all sync.WaitGroup
		for _, from := range senders {
			all.Go(func() {
				kit.Post(t, from, to, kit.Letter(t, from, 1002, fmt.Sprint("slow ", from.Number), kit.InClear))
				for i := range each {
					kind, seal := int32(1000+i%2), kit.InClear
					if i%3 == 0 {
						seal = to.PublicKey()
					}
					kit.Post(t, from, to, kit.Letter(t, from, kind, fmt.Sprintf("%d from %d", i, from.Number), seal))
				}
			})
		}
		all.Wait()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		for _, from := range senders {
			var want [2][]string
			for i := range each {
				want[i%2] = append(want[i%2], fmt.Sprintf("%d from %d", i, from.Number))
			}
			for i := range want {
				kit.WantBodies(t, fmt.Sprintf("type %d of node %d", 1000+i, from.Number), heard.Bodies(int32(1000+i), from), want[i])
			}
		}
		unblock()
		synctest.Wait()
		for _, from := range senders {
			kit.WantBodies(t, "the slow type", heard.Bodies(1002, from), []string{fmt.Sprint("slow ", from.Number)})
		}
		if got, want := kit.Fates(to), fmt.Sprintf("%d delivered", len(senders)*(each+1)); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		kit.WantNoCredit(t, append(senders, to)...)
	})
}

// TestBubbleTypeStuck has a peer send more for a handler that stands still than
// it has credit for. For ten seconds that holds up all the peer sends; from then
// on the handler has half of its credit, the rest of what is for it is dropped,
// and all else goes on, for days if need be: one, and three with GAMELAN_LONG. Other peers do not notice.
//
// conforms: dht 32-34; V 13
func TestBubbleTypeStuck(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		heard := kit.NewLetters()
		cfg := gamelan.Config{PeerCredit: 64 << 10, DHT: &gamelan.DHTConfig{Shards: 1}}
		to := net.Start(cfg, gamelan.WithType(1000, heard.New), gamelan.WithType(1001, heard.New))
		from, third := net.Start(gamelan.Config{DHT: &gamelan.DHTConfig{}}), net.Start(cfg)
		net.Connect(from, to)
		net.Connect(third, to)
		unblock := heard.Block(1000)
		const total, size = 100, 4 << 10 // six times the credit
		for i := range total {
			kit.Post(t, from, to, kit.Letter(t, from, 1000, fmt.Sprint(i, strings.Repeat(".", size)), kit.InClear))
		}
		kit.Post(t, from, to, kit.Letter(t, from, 1001, "behind them", kit.InClear))
		kit.Post(t, third, to, kit.Letter(t, third, 1001, "from elsewhere", kit.InClear))
		time.Sleep(9 * time.Second)
		synctest.Wait()
		if got := heard.Bodies(1001, from); len(got) != 0 {
			t.Errorf("after 9 s: got %q, want nothing past the messages that wait", got)
		}
		kit.WantBodies(t, "another peer", heard.Bodies(1001, third), []string{"from elsewhere"})
		time.Sleep(3 * time.Second)
		synctest.Wait()
		kit.WantBodies(t, "another type, after 12 s", heard.Bodies(1001, from), []string{"behind them"})
		before := kit.Fates(to)
		if !strings.Contains(before, "handler stuck") {
			t.Errorf("got %s, want some dropped for the stuck handler", before)
		}
		days := 1
		if os.Getenv("GAMELAN_LONG") != "" {
			days = 3
		}
		want := []string{"behind them"}
		for day := range days {
			time.Sleep(24 * time.Hour)
			body := fmt.Sprint("day ", day)
			want = append(want, body)
			out := <-kit.Post(t, from, to, kit.Letter(t, from, 1001, body, kit.InClear))
			if out.Kind != protocol.Confirmed {
				t.Errorf("day %d: got %v, want confirmed", day, out)
			}
		}
		synctest.Wait()
		kit.WantBodies(t, "another type", heard.Bodies(1001, from), want)
		if used, _, _, _ := nodetest.Trunk(to).Credit(); used == 0 || used > cfg.PeerCredit/2 {
			t.Errorf("got %d bytes held by the stuck handler, want some, and at most %d", used, cfg.PeerCredit/2)
		}
		theirs := "for the stuck one, too" + strings.Repeat(".", size)
		kit.Post(t, third, to, kit.Letter(t, third, 1000, theirs, kit.InClear))
		synctest.Wait()
		unblock()
		synctest.Wait()
		kit.WantBodies(t, "another peer's for the stuck one", heard.Bodies(1000, third), []string{theirs})
		held := heard.Bodies(1000, from)
		if len(held) == 0 || len(held) > int(cfg.PeerCredit)/2/size {
			t.Errorf("got %d messages for the stuck handler, want some, and at most %d", len(held), int(cfg.PeerCredit)/2/size)
		}
		if !slices.IsSortedFunc(held, func(a, b string) int { return numberOf(t, a) - numberOf(t, b) }) {
			t.Errorf("got them out of order")
		}
		kit.Post(t, from, to, kit.Letter(t, from, 1000, "it is back", kit.InClear))
		synctest.Wait()
		if got := heard.Bodies(1000, from); got[len(got)-1] != "it is back" {
			t.Errorf("got %.20q at last, want what came when it was back", got[len(got)-1])
		}
		kit.WantNoCredit(t, from, to, third)
	})
}

// numberOf is what a body begins with.
func numberOf(t *testing.T, body string) (n int) {
	t.Helper()
	if _, err := fmt.Sscanf(body, "%d.", &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// fragile panics in its own turn whenever it is told to.
type fragile struct{ kit.LetterBox }

func (f fragile) Receive(c actor.Context) {
	if _, ok := c.Message().(breakDown); ok {
		panic("on request")
	}
	f.LetterBox.Receive(c)
}

type breakDown struct{}

// TestBubbleTypeFailsForGood drops what is for a handler that has failed too
// often, until it is tried again. That is no offence of who sends it.
func TestBubbleTypeFailsForGood(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		heard := kit.NewLetters()
		cfg := gamelan.Config{DHT: &gamelan.DHTConfig{}}
		from := net.Start(cfg)
		to := net.Start(gamelan.Config{DHT: &gamelan.DHTConfig{FloodLimit: 5}}, kit.Quiet, gamelan.WithType(1000, func(*gamelan.Node) actor.Actor { return fragile{kit.LetterBox{Letters: heard}} }))
		net.Connect(from, to)
		say := func(body string) {
			kit.Post(t, from, to, kit.Letter(t, from, 1000, body, kit.InClear))
			synctest.Wait()
		}
		say("before")
		pid, ok := to.Actor("type-1000")
		if !ok {
			t.Fatal("got no actor type-1000")
		}
		to.System().Root.Send(pid, breakDown{})
		say("after a restart")
		for range 10 {
			to.System().Root.Send(pid, breakDown{})
			time.Sleep(3 * time.Second)
		}
		for i := range 20 {
			say(fmt.Sprint("while it has failed ", i))
		}
		if got, want := kit.Fates(to), "2 delivered, 20 handler failed"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		time.Sleep(time.Minute)
		say("when it is back")
		kit.WantBodies(t, "the handler", heard.Bodies(1000, from), []string{"before", "after a restart", "when it is back"})
		kit.WantNoCredit(t, from, to)
	})
}

// TestBubbleLayers has layers of the application's see every message, stop some,
// and panic on one.
func TestBubbleLayers(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		heard := kit.NewLetters()
		cfg := gamelan.Config{DHT: &gamelan.DHTConfig{}}
		from := net.Start(cfg)
		layer := func(word string, do func() dht.Verdict) gamelan.Option {
			return gamelan.WithLayer(dht.BeforeDeliver, func(next dht.Handler) dht.Handler {
				return func(m *dht.Incoming) dht.Verdict {
					if strings.Contains(string(m.Parts[1]), word) {
						return do()
					}
					return next(m)
				}
			})
		}
		to := net.Start(cfg, kit.Quiet, gamelan.WithType(1000, heard.New),
			layer("stop", func() dht.Verdict { return dht.Verdict{Reason: dht.Stopped} }),
			layer("panic", func() dht.Verdict { panic("in a layer") }))
		net.Connect(from, to)
		for _, body := range []string{"one", "stop", "panic", "stop before a panic", "two"} {
			kit.Post(t, from, to, kit.Letter(t, from, 1000, body, kit.InClear))
		}
		time.Sleep(time.Second)
		synctest.Wait()
		kit.WantBodies(t, "the handler", heard.Bodies(1000, from), []string{"one", "two"})
		if got, want := kit.Fates(to), "2 delivered, 2 stopped by a layer, 1 panicked"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		kit.WantNoCredit(t, from, to)
	})
}
