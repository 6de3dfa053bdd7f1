package tests

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/messengers"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// letters remembers what the actors of message types hear, in order. Those of
// blocked types stop in the middle of each message.
type letters struct {
	mu    sync.Mutex
	heard map[int32][]dht.Received
	gates map[int32]chan struct{}
}

func newLetters() *letters {
	return &letters{heard: make(map[int32][]dht.Received), gates: make(map[int32]chan struct{})}
}

func (l *letters) New(*gamelan.Node) actor.Actor { return letterBox{l} }

type letterBox struct{ *letters }

func (l letterBox) Receive(c actor.Context) {
	m, ok := c.Message().(dht.Received)
	if !ok {
		return
	}
	l.mu.Lock()
	l.heard[m.Type] = append(l.heard[m.Type], m)
	gate := l.gates[m.Type]
	l.mu.Unlock()
	if gate != nil {
		<-gate
	}
}

// block stops the handler of a type until unblock is called.
func (l *letters) block(kind int32) (unblock func()) {
	gate := make(chan struct{})
	l.mu.Lock()
	l.gates[kind] = gate
	l.mu.Unlock()
	return sync.OnceFunc(func() {
		l.mu.Lock()
		delete(l.gates, kind)
		l.mu.Unlock()
		close(gate)
	})
}

// bodies are those of a type that came from a peer.
func (l *letters) bodies(kind int32, from *gamelantest.Node) (list []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range l.heard[kind] {
		if m.Peer == from.ID() {
			list = append(list, string(m.Body))
		}
	}
	return list
}

// count is how many messages were heard.
func (l *letters) count() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, all := range l.heard {
		n += len(all)
	}
	return n
}

// letter is a message of a node for a type, in clear unless it is sealed for
// somebody.
func letter(t *testing.T, from *gamelantest.Node, kind int32, body string, seal identity.PublicKey) wire.Envelope {
	t.Helper()
	d := wire.Draft{
		Body:    wire.AppendBody(nil, wire.DomainHeader{Type: kind}.Append(nil), []byte(body)),
		Expires: uint64(time.Now().Add(time.Hour).Unix()), Tag: 1,
	}
	if !seal.IsZero() {
		d.Destination, d.EncryptFor = wire.To(seal), seal
	}
	e, err := wire.Compose(d, nodetest.Trunk(from).Secret(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// post sends an envelope to a neighbour as it is, waiting for credit. The outcome
// comes through the channel.
func post(t *testing.T, from, to *gamelantest.Node, e wire.Envelope) <-chan protocol.Outcome {
	t.Helper()
	return postBytes(t, from, to, e.Append(nil))
}

// postBytes sends any bytes on the DHT's messaging protocol.
func postBytes(t *testing.T, from, to *gamelantest.Node, body []byte) <-chan protocol.Outcome {
	t.Helper()
	done := make(chan protocol.Outcome, 1)
	m := messengers.SendBody{Peer: to.ID(), Body: body}
	if _, err := nodetest.Trunk(from).Frames().Send(t.Context(), m, func(o protocol.Outcome) { done <- o }); err != nil {
		t.Errorf("post: %v", err)
	}
	return done
}

// inClear is whom a message is sealed for that everybody can read.
var inClear identity.PublicKey

// fates says how the messages have ended that a node was sent.
func fates(n *gamelantest.Node) string {
	var parts []string
	for _, c := range nodetest.DHT(n).Counts() {
		parts = append(parts, fmt.Sprintf("%d %s", c.Count, c.Reason))
	}
	return strings.Join(parts, ", ")
}

func wantNoCredit(t *testing.T, nodes ...*gamelantest.Node) {
	t.Helper()
	for _, n := range nodes {
		if in, _, out, _ := nodetest.Trunk(n).Credit(); in != 0 || out != 0 {
			t.Errorf("node %d at the end: got %d and %d bytes of credit in use, want none", n.Number, in, out)
		}
	}
}

// TestBubbleTypesInOrder has several peers send at once to a node with several
// shards. What one peer sends for one type is heard in order, while the handler
// of another type stands still.
func TestBubbleTypesInOrder(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		net.SetLink(slowLink)
		heard := newLetters()
		to := net.Start(gamelan.Config{DHT: &gamelan.DHTConfig{Shards: 3}},
			gamelan.WithType(1000, heard.New), gamelan.WithType(1001, heard.New), gamelan.WithType(1002, heard.New))
		var senders []*gamelantest.Node
		for range 6 {
			from := net.Start(gamelan.Config{DHT: &gamelan.DHTConfig{}})
			net.Connect(from, to)
			senders = append(senders, from)
		}
		unblock := heard.block(1002)
		const each = 300
		var all sync.WaitGroup
		for _, from := range senders {
			all.Go(func() {
				post(t, from, to, letter(t, from, 1002, fmt.Sprint("slow ", from.Number), inClear))
				for i := range each {
					kind, seal := int32(1000+i%2), inClear
					if i%3 == 0 {
						seal = to.PublicKey()
					}
					post(t, from, to, letter(t, from, kind, fmt.Sprintf("%d from %d", i, from.Number), seal))
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
				wantBodies(t, fmt.Sprintf("type %d of node %d", 1000+i, from.Number), heard.bodies(int32(1000+i), from), want[i])
			}
		}
		unblock()
		synctest.Wait()
		for _, from := range senders {
			wantBodies(t, "the slow type", heard.bodies(1002, from), []string{fmt.Sprint("slow ", from.Number)})
		}
		if got, want := fates(to), fmt.Sprintf("%d delivered", len(senders)*(each+1)); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		wantNoCredit(t, append(senders, to)...)
	})
}

// TestBubbleTypeStuck has a peer send more for a handler that stands still than
// it has credit for. For ten seconds that holds up all the peer sends; from then
// on the handler has half of its credit, the rest of what is for it is dropped,
// and all else goes on, for days if need be. Other peers do not notice.
//
// conforms: dht 32-34; V 13
func TestBubbleTypeStuck(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		heard := newLetters()
		cfg := gamelan.Config{PeerCredit: 64 << 10, DHT: &gamelan.DHTConfig{Shards: 1}}
		to := net.Start(cfg, gamelan.WithType(1000, heard.New), gamelan.WithType(1001, heard.New))
		from, third := net.Start(gamelan.Config{DHT: &gamelan.DHTConfig{}}), net.Start(cfg)
		net.Connect(from, to)
		net.Connect(third, to)
		unblock := heard.block(1000)
		const total, size = 100, 4 << 10 // six times the credit
		for i := range total {
			post(t, from, to, letter(t, from, 1000, fmt.Sprint(i, strings.Repeat(".", size)), inClear))
		}
		post(t, from, to, letter(t, from, 1001, "behind them", inClear))
		post(t, third, to, letter(t, third, 1001, "from elsewhere", inClear))
		time.Sleep(9 * time.Second)
		synctest.Wait()
		if got := heard.bodies(1001, from); len(got) != 0 {
			t.Errorf("after 9 s: got %q, want nothing past the messages that wait", got)
		}
		wantBodies(t, "another peer", heard.bodies(1001, third), []string{"from elsewhere"})
		time.Sleep(3 * time.Second)
		synctest.Wait()
		wantBodies(t, "another type, after 12 s", heard.bodies(1001, from), []string{"behind them"})
		before := fates(to)
		if !strings.Contains(before, "handler stuck") {
			t.Errorf("got %s, want some dropped for the stuck handler", before)
		}
		for day := range 3 {
			time.Sleep(24 * time.Hour)
			out := <-post(t, from, to, letter(t, from, 1001, fmt.Sprint("day ", day), inClear))
			if out.Kind != protocol.Confirmed {
				t.Errorf("day %d: got %v, want confirmed", day, out)
			}
		}
		synctest.Wait()
		wantBodies(t, "another type", heard.bodies(1001, from), []string{"behind them", "day 0", "day 1", "day 2"})
		if used, _, _, _ := nodetest.Trunk(to).Credit(); used == 0 || used > cfg.PeerCredit/2 {
			t.Errorf("got %d bytes held by the stuck handler, want some, and at most %d", used, cfg.PeerCredit/2)
		}
		theirs := "for the stuck one, too" + strings.Repeat(".", size)
		post(t, third, to, letter(t, third, 1000, theirs, inClear))
		synctest.Wait()
		unblock()
		synctest.Wait()
		wantBodies(t, "another peer's for the stuck one", heard.bodies(1000, third), []string{theirs})
		held := heard.bodies(1000, from)
		if len(held) == 0 || len(held) > int(cfg.PeerCredit)/2/size {
			t.Errorf("got %d messages for the stuck handler, want some, and at most %d", len(held), int(cfg.PeerCredit)/2/size)
		}
		if !slices.IsSortedFunc(held, func(a, b string) int { return numberOf(t, a) - numberOf(t, b) }) {
			t.Errorf("got them out of order")
		}
		post(t, from, to, letter(t, from, 1000, "it is back", inClear))
		synctest.Wait()
		if got := heard.bodies(1000, from); got[len(got)-1] != "it is back" {
			t.Errorf("got %.20q at last, want what came when it was back", got[len(got)-1])
		}
		wantNoCredit(t, from, to, third)
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

// TestBubbleFloodBan has peers send what nobody here handles. Who exceeds the
// limit is banned for ten minutes and disconnected; who is allow-listed or held
// is not, nor who keeps to it, nor whose messages a handler took. Who sends a bad
// signature is banned for two hours.
//
// conforms: dht 129, 136; V 28
func TestBubbleFloodBan(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		heard := newLetters()
		const limit = 50
		start := func() *gamelantest.Node { return net.Start(gamelan.Config{DHT: &gamelan.DHTConfig{}}) }
		flooder, allowed, held, slow, wanted, forger := start(), start(), start(), start(), start(), start()
		to := net.Start(gamelan.Config{
			DHT:   &gamelan.DHTConfig{FloodLimit: limit},
			Allow: []string{allowed.ID().String()},
		}, quiet, gamelan.WithType(1000, heard.New))
		for _, n := range []*gamelantest.Node{flooder, allowed, held, slow, wanted, forger} {
			net.Connect(n, to)
		}
		release := to.Protect(held.ID(), "test")
		defer release()
		flood := func(from *gamelantest.Node, kind int32, n int) {
			for i := range n {
				post(t, from, to, letter(t, from, kind, fmt.Sprintf("%d at %v", i, time.Now()), inClear))
			}
			time.Sleep(time.Second)
			synctest.Wait()
		}
		for range 3 {
			flood(slow, 4711, limit)
			time.Sleep(time.Minute)
		}
		flood(wanted, 1000, 10*limit)
		flood(allowed, 4711, 10*limit)
		flood(held, 4711, 10*limit)
		flood(flooder, 4711, limit+1)
		forged := letter(t, forger, 1000, "forged", to.PublicKey())
		forged.Body[0] ^= 1
		post(t, forger, to, forged)
		time.Sleep(time.Second)
		synctest.Wait()
		began := time.Now()
		for name, c := range map[string]struct {
			n   *gamelantest.Node
			ban time.Duration
			why string
		}{
			"at the limit": {n: slow}, "handled": {n: wanted}, "allow-listed": {n: allowed}, "held": {n: held},
			"above it":  {flooder, 10 * time.Minute, "flood"},
			"forgeries": {forger, 2 * time.Hour, "signature"},
		} {
			until, why, banned := to.Peers().Banned(c.n.ID())
			_, connected := nodetest.Trunk(to).Connections().Get(c.n.ID())
			if banned != (c.ban > 0) || connected == banned {
				t.Errorf("%s: got banned %v (%s), connected %v", name, banned, why, connected)
			}
			if left := until.Sub(began).Round(time.Minute); banned && (left != c.ban || !strings.Contains(why, c.why)) {
				t.Errorf("%s: got a ban of %v for %q, want one of %v for its %s", name, left, why, c.ban, c.why)
			}
		}
		time.Sleep(11 * time.Minute)
		net.Connect(flooder, to)
		flood(flooder, 1000, 1)
		if got := heard.bodies(1000, flooder); len(got) != 1 {
			t.Errorf("after the ban: got %d messages, want one", len(got))
		}
	})
}

// fragile panics in its own turn whenever it is told to.
type fragile struct{ letterBox }

func (f fragile) Receive(c actor.Context) {
	if _, ok := c.Message().(breakDown); ok {
		panic("on request")
	}
	f.letterBox.Receive(c)
}

type breakDown struct{}

// TestBubbleTypeFailsForGood drops what is for a handler that has failed too
// often, until it is tried again. That is no offence of who sends it.
func TestBubbleTypeFailsForGood(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		heard := newLetters()
		cfg := gamelan.Config{DHT: &gamelan.DHTConfig{}}
		from := net.Start(cfg)
		to := net.Start(gamelan.Config{DHT: &gamelan.DHTConfig{FloodLimit: 5}}, quiet, gamelan.WithType(1000, func(*gamelan.Node) actor.Actor { return fragile{letterBox{heard}} }))
		net.Connect(from, to)
		say := func(body string) {
			post(t, from, to, letter(t, from, 1000, body, inClear))
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
		if got, want := fates(to), "2 delivered, 20 handler failed"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		time.Sleep(time.Minute)
		say("when it is back")
		wantBodies(t, "the handler", heard.bodies(1000, from), []string{"before", "after a restart", "when it is back"})
		wantNoCredit(t, from, to)
	})
}

// TestBubbleLayers has layers of the application's see every message, stop some,
// and panic on one.
func TestBubbleLayers(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		heard := newLetters()
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
		to := net.Start(cfg, quiet, gamelan.WithType(1000, heard.New),
			layer("stop", func() dht.Verdict { return dht.Verdict{Reason: dht.Stopped} }),
			layer("panic", func() dht.Verdict { panic("in a layer") }))
		net.Connect(from, to)
		for _, body := range []string{"one", "stop", "panic", "stop before a panic", "two"} {
			post(t, from, to, letter(t, from, 1000, body, inClear))
		}
		time.Sleep(time.Second)
		synctest.Wait()
		wantBodies(t, "the handler", heard.bodies(1000, from), []string{"one", "two"})
		if got, want := fates(to), "2 delivered, 2 stopped by a layer, 1 panicked"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		wantNoCredit(t, from, to)
	})
}
