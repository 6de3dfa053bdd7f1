// Package crashes makes every actor of a node panic, at every kind of message
// it gets and in every task it starts, while messages are under way, and checks
// that the tree heals and that no send loses its outcome.
package crashes

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// point is where a panic may be injected: which actor, at which message or in
// which task. Ids in the path are replaced by a star.
type point struct{ actor, at string }

func (p point) String() string { return p.actor + " " + p.at }

var (
	rootName = regexp.MustCompile(`^gamelan-[0-9a-f]+/`)
	nodeIDs  = regexp.MustCompile(`[0-9a-f]{26}(-\d+)?`)
	serials  = regexp.MustCompile(`-\d+$`)
)

func pointOf(path, at string) point {
	path = nodeIDs.ReplaceAllString(rootName.ReplaceAllString(path, ""), "*")
	return point{path, serials.ReplaceAllString(nodeIDs.ReplaceAllString(at, "*"), "-n")}
}

// faults learns the points of a node, and panics once at the one that is armed.
type faults struct {
	mu    sync.Mutex
	seen  map[point]int
	armed point
	skip  int // how many passes at the armed point go well first
	fired bool
}

func (f *faults) hit(path, at string) {
	p := pointOf(path, at)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen[p]++
	if f.armed != p || f.fired {
		return
	}
	if f.skip > 0 {
		f.skip--
		return
	}
	f.fired = true
	panic("injected at " + p.String())
}

func (f *faults) arm(p point, skip int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.armed, f.skip, f.fired = p, skip, false
}

func (f *faults) hasFired() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fired
}

func (f *faults) points() []point {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.SortedFunc(maps.Keys(f.seen), func(a, b point) int { return strings.Compare(a.String(), b.String()) })
}

// echo answers on substreams of its own protocol.
type echo struct{}

const (
	echoID protocol.ID = "t/echo/1"
	someID protocol.ID = "t/some/1" // registered and unregistered again
)

func (echo) Receive(c actor.Context) {
	m, ok := c.Message().(actors.SubstreamOpened)
	if !ok {
		return
	}
	if s, ok := m.Stream.Take(); ok {
		supervisor.Go(c, "echo", s, func(context.Context) error {
			var b [1]byte
			if _, err := s.Read(b[:]); err != nil {
				return err
			}
			if _, err := s.Write(b[:]); err != nil {
				return err
			}
			if err := s.CloseWrite(); err != nil {
				return err
			}
			_, err := io.Copy(io.Discard, s) // a reset could overtake the answer
			return err
		})
	}
}

// load sends numbered messages from one node to another and keeps their
// outcomes.
type load struct {
	from, to *gamelantest.Node
	mu       sync.Mutex
	sent     int
	outcomes map[int]gamelan.Outcome
	twice    []int
	wg       sync.WaitGroup
}

func (l *load) send(ctx context.Context) {
	l.mu.Lock()
	l.sent++
	n := l.sent
	l.mu.Unlock()
	l.wg.Go(func() {
		sending, cancel := context.WithTimeout(ctx, 2*time.Minute)
		defer cancel()
		out, err := l.from.Send(sending, l.to.ID(), fmt.Appendf(nil, "%d", n))
		if err != nil {
			out = gamelan.Outcome{Kind: protocol.Failed, Reason: protocol.Closed, Err: err}
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if _, ok := l.outcomes[n]; ok {
			l.twice = append(l.twice, n)
		}
		l.outcomes[n] = out
	})
}

// run sends until ctx ends.
func (l *load) run(ctx context.Context) {
	for ctx.Err() == nil {
		l.send(context.Background())
		select {
		case <-time.After(700 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	l.wg.Wait()
}

// check compares the outcomes with what was heard.
func (l *load) check(t *testing.T, heard []string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	times := make(map[string]int)
	for _, body := range heard {
		times[body]++
	}
	counts := make(map[protocol.OutcomeKind]int)
	for n := 1; n <= l.sent; n++ {
		out, ok := l.outcomes[n]
		counts[out.Kind]++
		got := times[fmt.Sprint(n)]
		switch {
		case !ok:
			t.Errorf("message %d: no outcome", n)
		case got > 1:
			t.Errorf("message %d: heard %d times, want at most once", n, got)
		case out.Kind == protocol.Failed && got != 0:
			t.Errorf("message %d: %v, but it was heard", n, out)
		}
	}
	if len(l.twice) > 0 {
		t.Errorf("two outcomes for %v", l.twice)
	}
	t.Logf("%d sent, %d confirmed, %d in doubt, %d failed, %d heard", l.sent,
		counts[protocol.Confirmed], counts[protocol.InDoubt], counts[protocol.Failed], len(heard))
}

// spared are points whose panic ends more than its actor by design, or that a
// test cannot survive.
func spared(p point) bool {
	return p.actor == "node" || // the top of the tree: its failure stops the node
		p.actor == "" || strings.HasPrefix(p.actor, "gamelan-") ||
		p.at == "users.AwaitReady" || p.at == "users.AwaitOffered" || p.at == "rpcpart.AwaitServices" || p.at == "safpart.AwaitLoaded" || // asked once, when the node starts
		strings.HasPrefix(p.actor, "node/extensions/") // the test's own actors: a message heard and lost is theirs
}

// TestEveryActorPanicsEverywhere learns where code of the node runs and then
// makes it panic at each of these places, one after another, under load: with
// GAMELAN_LONG at all of them, otherwise at each fourth.
func TestEveryActorPanicsEverywhere(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		quiet := gamelan.WithLogger(slog.New(slog.DiscardHandler)) // every panic is one on purpose
		f := &faults{seen: make(map[point]int)}
		heardA, heardB := gamelantest.NewCollector(), gamelantest.NewCollector()
		postsA, postsB := gamelantest.NewCollector(), gamelantest.NewCollector()
		a := net.Start(withDHT(), gamelan.WithHandler(heardA.New), gamelan.WithType(postType, postsA.New), gamelan.WithFault(f.hit), quiet)
		b := net.Start(withDHT(), gamelan.WithHandler(heardB.New), gamelan.WithType(postType, postsB.New), quiet)
		if err := b.Register(t.Context(), echoID, func(*gamelan.Node) actor.Actor { return echo{} }); err != nil {
			t.Fatal(err)
		}
		net.Introduce(a, b)
		net.Introduce(b, a)
		w := newWorld(t, net, f, a, b)
		w.posts[0].heard, w.posts[1].heard = postsB, postsA

		loading, stop := context.WithCancel(context.Background())
		defer stop()
		out, in := &load{from: a, to: b, outcomes: map[int]gamelan.Outcome{}}, &load{from: b, to: a, outcomes: map[int]gamelan.Outcome{}}
		var wg sync.WaitGroup
		wg.Go(func() { out.run(loading) })
		wg.Go(func() { in.run(loading) })

		for range 3 {
			w.agitate()
		}
		time.Sleep(5 * time.Minute) // timers of all kinds
		var silent []point
		fired := 0
		each, least, most := 4, 45, 5
		if os.Getenv("GAMELAN_LONG") != "" {
			each, least, most = 1, 130, 9
		}
		for i, p := range f.points() {
			if spared(p) || i%each != 0 {
				continue
			}
			if w.panicAt(p, fired%2) || w.panicAt(p, 0) {
				fired++
			} else {
				silent = append(silent, p)
			}
		}
		t.Logf("%d points panicked; not reached again: %v", fired, silent)
		if fired < least || len(silent) > most { // a few come up by chance only
			t.Errorf("only %d of %d points were reached", fired, fired+len(silent))
		}
		f.arm(point{}, 0)
		stop()
		wg.Wait()
		out.check(t, heardB.Bodies())
		in.check(t, heardA.Bodies())
		w.posts[0].check(t, true)
		w.posts[1].check(t, false)
	})
}

// world is the two nodes under test.
type world struct {
	t    *testing.T
	net  *gamelantest.Network
	f    *faults
	a, b *gamelantest.Node

	posts [2]*posts // from a, from b
}

func newWorld(t *testing.T, net *gamelantest.Network, f *faults, a, b *gamelantest.Node) *world {
	return &world{t: t, net: net, f: f, a: a, b: b, posts: [2]*posts{newPosts(a, b), newPosts(b, a)}}
}

// panicAt makes one point panic and waits until the node is whole again.
func (w *world) panicAt(p point, skip int) (fired bool) {
	w.t.Helper()
	w.f.arm(p, skip)
	if p.at == "*actor.Started" || p == (point{"node/listeners/0", "task accept"}) {
		w.f.arm(p, 0)
		gamelantest.Crash(w.a.Node, strings.TrimPrefix(p.actor, "node/"), "to be started again")
	}
	for range 6 {
		switch {
		case p.at == "users.ServicesStarted": // published then
			gamelantest.Crash(w.a.Node, "services", "to start again")
		case p.actor == "node/saf/keeper" && strings.Contains(p.at, "load"), // when it starts
			p.at == "users.ProtocolAdded" && strings.HasPrefix(p.actor, "node/services/"):
			gamelantest.Crash(w.a.Node, strings.TrimPrefix(p.actor, "node/"), "to be started again")
		}
		w.agitate()
		time.Sleep(40 * time.Second) // long enough for idle sessions to end
		if w.f.hasFired() {
			break
		}
		time.Sleep(20 * time.Second)
	}
	fired = w.f.hasFired()
	w.f.arm(point{}, 0)
	time.Sleep(90 * time.Second) // also gives the restart budget back
	select {
	case <-w.a.Done():
		w.t.Fatalf("%v: the node stopped: %v", p, w.a.Err())
	default:
	}
	gamelantest.Healed(w.t, w.a.Node)
	w.works(p)
	return fired
}

// works checks that messages, substreams and registration work both ways.
func (w *world) works(p point) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, n := range []struct{ from, to *gamelantest.Node }{{w.a, w.b}, {w.b, w.a}} {
		if _, err := n.from.Dial(ctx, n.to.ID()); err != nil {
			w.t.Errorf("after a panic at %v: dial: %v", p, err)
		}
		if r, err := n.from.DHT().Send(ctx, dht.Message{To: dht.Direct{Peer: n.to.ID()}, Type: postType + 1}); err != nil || r.Count(protocol.Confirmed) != 1 {
			w.t.Errorf("after a panic at %v: node %d sends over the DHT: got %v, %v, want confirmed", p, n.from.Number, r.String(), err)
		}
		if out, err := n.from.Send(ctx, n.to.ID(), []byte("\xff afterwards")); err != nil || out.Kind != protocol.Confirmed {
			w.t.Errorf("after a panic at %v: node %d sends: got %v, %v, want confirmed", p, n.from.Number, out, err)
		}
	}
	s, err := w.a.OpenStream(ctx, w.b.ID(), echoID)
	if err != nil {
		w.t.Errorf("after a panic at %v: open stream: %v", p, err)
		return
	}
	defer s.Close()
	if _, err := s.Write([]byte{7}); err != nil {
		w.t.Errorf("after a panic at %v: write: %v", p, err)
		return
	}
	var one [1]byte
	if _, err := s.Read(one[:]); err != nil || one[0] != 7 {
		w.t.Errorf("after a panic at %v: read: got %v, %v, want the echo", p, one, err)
		return
	}
}

// nowhere is an address at which nobody listens.
var nowhere = ma.StringCast("/memory/64000")

// agitate makes every part of the node work: it connects and disconnects both
// ways, opens substreams, registers, adds, bans and asks. Errors are what the
// panics cause; what counts is that the node works afterwards.
func (w *world) agitate() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	w.a.SetPublicAddresses(ctx, w.a.Addresses()...)
	w.a.Disconnect(ctx, w.b.ID())
	time.Sleep(100 * time.Millisecond)
	w.b.Disconnect(ctx, w.a.ID())
	w.b.Dial(ctx, w.a.ID())
	w.a.Disconnect(ctx, w.b.ID())
	w.a.Dial(ctx, w.b.ID())
	if s, err := w.a.OpenStream(ctx, w.b.ID(), "t/none/1", echoID); err == nil {
		s.Write([]byte{1})
		s.Close()
	}
	if s, err := w.b.OpenStream(ctx, w.a.ID(), "t/none/1"); err == nil {
		s.Close()
	}
	w.posts[0].send(ctx)
	w.posts[1].send(ctx)
	// a stores for somebody who never comes, and asks b for its own
	w.b.DHT().Send(ctx, dht.Message{
		To: dht.StoreFor{To: gamelantest.Secret(1002).PublicKey()}, Type: postType + 1, Encrypt: true, Body: []byte(time.Now().String()),
	})
	w.a.DHT().FetchStored(ctx)
	w.b.DHT().FetchStored(ctx)
	w.a.DHT().PurgeAllStored(ctx)
	w.net.Cut(w.a, w.b)
	release := w.a.Protect(w.b.ID(), "test")
	w.a.Register(ctx, someID, func(*gamelan.Node) actor.Actor { return echo{} })
	w.a.Unregister(ctx, someID)
	w.a.Status(ctx)
	stranger := gamelantest.Secret(1000).PublicKey().NodeID()
	w.a.Peers().Ban(ctx, stranger, time.Minute, "test")
	w.a.Peers().Unban(ctx, stranger)
	w.a.Peers().Forget(ctx, stranger)
	w.a.Send(ctx, stranger, []byte("nobody"))
	unreachable := peerstore.Peer{Key: gamelantest.Secret(1001).PublicKey(), Addresses: []peerstore.Address{{Addr: nowhere}}}
	if w.a.Peers().Add(ctx, unreachable) == nil {
		id := unreachable.Key.NodeID()
		w.a.Dial(ctx, id)
		w.a.Send(ctx, id, []byte("in vain")) // by a session that ends soon
		w.a.DHT().Send(ctx, dht.Message{To: dht.Direct{Peer: id}, Type: postType + 1})
	}
	time.Sleep(2 * time.Second)
	release()
}
