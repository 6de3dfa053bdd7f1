package crashes

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
	"github.com/gamelan-p2p/gamelan/supervisor"
	"github.com/gamelan-p2p/gamelan/tests/internal/bubbled"
	"github.com/gamelan-p2p/gamelan/transport/memory"
)

// killsOf is how many actors are killed: a hundred, or GAMELAN_ACTOR_KILLS.
func killsOf(t *testing.T) int {
	t.Helper()
	text := os.Getenv("GAMELAN_ACTOR_KILLS")
	switch {
	case text == "" && os.Getenv("GAMELAN_LONG") == "":
		return 20
	case text == "":
		return 100
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// killsInRound is how many are killed before the load stops and everything is
// looked at.
const killsInRound = 50

// TestRandomKills kills actors of a node at random, at any message they get and
// in any task they start, while messages, substreams and calls go both ways. In
// every round, when the load has stopped,
//
//   - every send has had one outcome, and none two;
//   - what was confirmed to the node whose actors are killed was heard, by a peer
//     that is well, and nothing that failed was heard; nothing was heard twice;
//   - what was heard came in the order in which it was sent;
//   - the tree is the one from before, and every actor in it runs;
//   - all credit is back, and no goroutine has come on top.
//
// There are 20 kills, and 100 with GAMELAN_LONG. GAMELAN_ACTOR_KILLS=10000 makes it a soak, GAMELAN_ACTOR_SEED another one.
func TestRandomKills(t *testing.T) {
	seed := uint64(1)
	if text := os.Getenv("GAMELAN_ACTOR_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	kills := killsOf(t)
	began := time.Now()
	gamelantest.Bubble(t, func(t *testing.T) {
		h := startHunt(t, rand.New(rand.NewPCG(seed, 0)))
		first := h.round(0)
		virtual := time.Now()
		for h.killed < kills && !t.Failed() {
			now := h.round(min(killsInRound, kills-h.killed))
			now.compare(t, first)
			if h.killed%1000 == 0 {
				t.Logf("%d killed: %s", h.killed, now)
			}
		}
		t.Logf("to the node that is well: %s", h.out[0].total)
		t.Logf("to the node whose actors are killed: %s", h.out[1].total)
		t.Logf("%d killed in %v of virtual time, and %d panics on what a peer chose contained:", h.killed, time.Since(virtual).Round(time.Minute), h.contained)
		for _, path := range slices.Sorted(maps.Keys(h.at)) {
			t.Logf("%6d × %s", h.at[path], path)
		}
	})
	t.Logf("seed %d, %v", seed, time.Since(began).Round(time.Second))
}

const doubleID protocol.ID = "t/double/1"

func double(_ context.Context, n *wrapperspb.UInt64Value) (*wrapperspb.UInt64Value, error) {
	return wrapperspb.UInt64(2 * n.Value), nil
}

// hunt is a node whose actors are killed, a, and one that is well, b.
type hunt struct {
	*world
	r         *rand.Rand
	killed    int
	contained int                    // panics after which the same incarnation went on
	at        map[string]int         // kills by actor
	recent    map[string][]time.Time // the last ones of those that have a budget of restarts
	out       [2]*numbers            // from a, from b
	heard     [2]*ears               // of a at b, of b at a
}

func startHunt(t *testing.T, r *rand.Rand) *hunt {
	t.Helper()
	net := gamelantest.NewNetwork(t)
	net.SetLink(memory.Link{Latency: 20 * time.Millisecond}) // what is under way when a connection ends is lost
	quiet := gamelan.WithLogger(slog.New(slog.DiscardHandler))
	f := &faults{seen: make(map[point]int)}
	atB, atA := new(ears), new(ears)
	doubling := gamelan.WithService(rpc.Service{Protocol: doubleID, Methods: []rpc.Method{rpc.Unary(1, double)}})
	postsA, postsB := gamelantest.NewCollector(), gamelantest.NewCollector()
	a := net.Start(withDHT(), gamelan.WithHandler(atA.New), gamelan.WithType(postType, postsA.New), gamelan.WithFault(f.hit), quiet, doubling)
	b := net.Start(withDHT(), gamelan.WithHandler(atB.New), gamelan.WithType(postType, postsB.New), quiet, doubling)
	for _, n := range []*gamelantest.Node{a, b} {
		if err := n.Register(t.Context(), echoID, func(*gamelan.Node) actor.Actor { return echo{} }); err != nil {
			t.Fatal(err)
		}
	}
	net.Introduce(a, b)
	net.Introduce(b, a)
	w := newWorld(t, net, f, a, b)
	w.posts[0].heard, w.posts[1].heard = postsB, postsA
	return &hunt{
		world: w, r: r,
		at: make(map[string]int), recent: make(map[string][]time.Time),
		out: [2]*numbers{newNumbers(net, a, b), newNumbers(net, b, a)}, heard: [2]*ears{atB, atA},
	}
}

// rest is what a round leaves when the load has stopped.
type rest struct {
	tree       []string
	goroutines int
}

func (r rest) String() string {
	return fmt.Sprintf("%d actors, %d goroutines", len(r.tree), r.goroutines)
}

func (r rest) compare(t *testing.T, first rest) {
	t.Helper()
	if !slices.Equal(r.tree, first.tree) {
		t.Errorf("actors: got\n%s\nwant those from before:\n%s", strings.Join(r.tree, "\n"), strings.Join(first.tree, "\n"))
	}
	if r.goroutines > first.goroutines {
		stacks := make([]byte, 1<<20)
		t.Errorf("goroutines: got %d, want at most the %d from before:\n%s", r.goroutines, first.goroutines, stacks[:runtime.Stack(stacks, true)])
	}
}

// outcomeLimit is more than dials of a peer and the proof of what was written
// may take.
const outcomeLimit = 10 * time.Minute

// round kills n actors under load and looks at everything afterwards. Without
// any the load goes on for a while.
func (h *hunt) round(n int) rest {
	h.t.Helper()
	loading, stop := context.WithCancel(context.Background())
	defer stop()
	var loads sync.WaitGroup
	for i, o := range h.out {
		seed := h.r.Uint64()
		loads.Go(func() { o.run(loading, rand.New(rand.NewPCG(seed, uint64(i)))) })
	}
	loads.Go(func() {
		for loading.Err() == nil {
			h.agitate()
			h.call()
		}
	})
	if n == 0 {
		time.Sleep(5 * time.Minute) // timers of all kinds
	}
	for end := h.killed + n; h.killed < end && !h.t.Failed(); {
		h.kill()
		time.Sleep(time.Duration(h.r.Int64N(int64(2 * time.Second))))
		select {
		case <-h.a.Done():
			h.t.Fatalf("after %d kills the node stopped: %v", h.killed, h.a.Err())
		default:
		}
	}
	stop()
	ended := make(chan struct{})
	go func() { loads.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(outcomeLimit):
		h.t.Fatalf("after %d kills: sends have no outcome %v after the load has stopped", h.killed, outcomeLimit)
	}
	gamelantest.Healed(h.t, h.a.Node)
	return h.rest()
}

// tempered reports whether an actor has a budget of restarts, which a test must
// not spend: what stands for a peer or a connection is not restarted.
func tempered(path string) bool { return !strings.Contains(path, "*") }

// kill makes a point panic that is drawn from all those that are known.
func (h *hunt) kill() {
	ps := slices.DeleteFunc(h.f.points(), spared)
	p := ps[h.r.IntN(len(ps))]
	started := p.at == "*actor.Started" && tempered(p.actor)
	cost := 1
	if started {
		cost = 2 // one to start it again, one while it does
	}
	now := time.Now()
	h.recent[p.actor] = slices.DeleteFunc(h.recent[p.actor], func(at time.Time) bool { return now.Sub(at) > time.Minute })
	if tempered(p.actor) && len(h.recent[p.actor])+cost > 3 {
		return // five in a minute are the end of the node
	}
	skip := h.r.IntN(3)
	if started {
		skip = 0
	}
	before := h.containedIn()
	h.f.arm(p, skip)
	defer h.f.arm(point{}, 0)
	if started {
		gamelantest.Crash(h.a.Node, strings.TrimPrefix(p.actor, "node/"), "to be started again")
	}
	for range 50 {
		time.Sleep(100 * time.Millisecond)
		if h.f.hasFired() {
			break
		}
	}
	if started {
		h.recent[p.actor] = append(h.recent[p.actor], time.Now())
	}
	if !h.f.hasFired() {
		return
	}
	if h.containedIn() > before {
		h.contained++
		return
	}
	h.killed++
	h.at[p.actor]++
	h.recent[p.actor] = append(h.recent[p.actor], time.Now())
}

// containedIn counts the panics on what a peer chose, of actors that live.
func (h *hunt) containedIn() (sum uint64) {
	for _, info := range h.a.Inspection().Tree().Snapshot() {
		sum += info.Contained
	}
	return sum
}

// call calls both ways. A call may fail; an answer is right.
func (h *hunt) call() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for _, n := range []struct{ from, to *gamelantest.Node }{{h.a, h.b}, {h.b, h.a}} {
		out, err := rpc.Call[wrapperspb.UInt64Value, wrapperspb.UInt64Value](ctx, n.from.RPC().Client(n.to.ID(), doubleID), 1, wrapperspb.UInt64(21))
		if err == nil && out.Value != 42 {
			h.t.Errorf("call: got %d, want 42", out.Value)
		}
	}
}

// reachLimit is more than the longest pause between two dials of a peer that hung
// up again and again before the handshake, as b does with a killed task at a's end.
const reachLimit = 5 * time.Minute

// reach dials both ways. A dial joins one that waits for its next attempt.
func (h *hunt) reach() {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), reachLimit)
	defer cancel()
	for _, n := range []struct{ from, to *gamelantest.Node }{{h.a, h.b}, {h.b, h.a}} {
		began := time.Now()
		_, err := n.from.Dial(ctx, n.to.ID())
		if took := time.Since(began); err != nil || took > time.Minute {
			h.t.Logf("after %d kills: node %d was reached after %v: %v; the last attempts:", h.killed, n.to.Number, took, err)
			for _, a := range n.from.Inspection().Peer(n.to.ID()).Attempts {
				h.t.Logf("  %+v", a)
			}
		}
		if err != nil {
			h.t.Errorf("node %d does not reach node %d: %v", n.from.Number, n.to.Number, err)
		}
	}
}

// rest waits until nothing goes on, and checks what has to hold then.
func (h *hunt) rest() rest {
	h.t.Helper()
	h.a.Unregister(context.Background(), someID) // a kill may have been the answer to that of agitate
	h.reach()
	h.works(point{actor: "any"})
	h.call()
	for _, o := range h.out {
		o.call(1)
		o.system.Root.Send(o.actor, send{1})
	}
	time.Sleep(15 * time.Minute) // sessions of calls end
	synctest.Wait()
	var r rest
	for i, o := range h.out {
		o.check(h.t, h.heard[i].take(), i == 0)
		h.posts[i].check(h.t, i == 0)
	}
	for _, n := range []*gamelantest.Node{h.a, h.b} {
		if in, _, out, _ := nodetest.Trunk(n).Credit(); in != 0 || out != 0 {
			h.t.Errorf("node %d: got %d and %d bytes of credit in use, want none", n.Number, in, out)
		}
		for _, info := range n.Inspection().Tree().Snapshot() {
			p := pointOf(info.Path, "")
			r.tree = append(r.tree, fmt.Sprintf("%d %s", n.Number, p.actor))
			if info.State != supervisor.StateRunning && info.State != supervisor.StateBusy {
				h.t.Errorf("%s: got state %s, want running", info.Path, info.State)
			}
		}
	}
	slices.Sort(r.tree)
	r.goroutines = bubbled.Count()
	for range 10 { // a leak stays, a task that was under way does not
		time.Sleep(time.Second)
		synctest.Wait()
		r.goroutines = min(r.goroutines, bubbled.Count())
	}
	return r
}
