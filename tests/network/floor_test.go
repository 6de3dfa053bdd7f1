package network

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/connections"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/tests/internal/bubbled"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
	"github.com/gamelan-p2p/gamelan/transport"
	"github.com/gamelan-p2p/gamelan/transport/memory"
)

// crowd is the transport of one node among many others that exist only as
// addresses: one that lives is started when it is dialled. It counts the dials.
type crowd struct {
	*memory.Transport
	net   *gamelantest.Network
	takes func(number int) (d time.Duration, err error) // a dial, before it succeeds or fails

	mu      sync.Mutex
	running map[int]bool // dials under way, by number
	started map[int]bool
	slowest time.Duration
	most    int
	total   int
	twice   int
	recent  []time.Time
	burst   int // most begun within one second
}

var errDead = errors.New("nobody there")

func (c *crowd) Dial(ctx context.Context, a ma.Multiaddr) (transport.Conn, error) {
	var number int
	fmt.Sscanf(a.String(), "/memory/%d", &number)
	began := time.Now()
	c.begin(number, began)
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.running, number)
		c.slowest = max(c.slowest, time.Since(began))
	}()
	d, err := c.takes(number)
	select {
	case <-time.After(d):
	case <-ctx.Done():
		return nil, &transport.DialError{Addr: a, Stage: transport.StageConnect, Err: ctx.Err()}
	}
	if err != nil {
		return nil, &transport.DialError{Addr: a, Stage: transport.StageConnect, Err: err}
	}
	c.mu.Lock()
	if !c.started[number] {
		c.started[number] = true
		c.net.Start(gamelan.Config{Secret: gamelantest.Secret(number), Listen: []string{a.String()}})
	}
	c.mu.Unlock()
	return c.Transport.Dial(ctx, a)
}

func (c *crowd) begin(number int, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running[number] {
		c.twice++
	}
	c.running[number] = true
	c.most = max(c.most, len(c.running))
	c.total++
	c.recent = append(c.recent, now)
	for now.Sub(c.recent[0]) >= time.Second {
		c.recent = c.recent[1:]
	}
	c.burst = max(c.burst, len(c.recent))
}

// dials is how many have begun.
func (c *crowd) dials() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.total
}

// TestFloor gives a node a thousand peers, three of ten of them dead, of which it
// is to find twelve to be connected to.
//
// conforms: V 30
func TestFloor(t *testing.T) {
	const peers, floor, inFlight = 1000, 12, 8
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		r := rand.New(rand.NewPCG(1, 2))
		live, dead := make(map[int]time.Duration), 0
		for n := 1001; n <= 1000+peers; n++ {
			if r.IntN(10) < 3 {
				dead++
			} else {
				live[n] = 50*time.Millisecond + time.Duration(r.IntN(5000))*time.Millisecond
			}
		}
		c := &crowd{
			Transport: net.Transport(), net: net, running: map[int]bool{}, started: map[int]bool{},
			takes: func(number int) (time.Duration, error) {
				d, ok := live[number]
				switch {
				case ok:
					return d, nil
				case number%2 == 0:
					return 0, errDead
				}
				return time.Hour, errDead // until the limit of a dial
			},
		}
		var seeds []string
		for n := 1001; n <= 1000+peers; n++ {
			seeds = append(seeds, fmt.Sprintf("%s::/memory/%d", gamelantest.Secret(n).PublicKey(), n))
		}
		node, err := gamelan.Start(t.Context(), gamelan.Config{
			Listen: []string{"/memory/1"}, Secret: gamelantest.Secret(1), Floor: floor, MinConnected: floor, Seeds: seeds, MaxDials: inFlight, NoDHT: true, // without neighbours to look for
		}, gamelan.WithSystem(net.System), gamelan.WithTransport(c))
		if err != nil {
			t.Fatal(err)
		}
		defer node.Close(context.Background())
		began := time.Now()
		gamelantest.Eventually(t, time.Hour, "so many connections as are wanted", func() bool { return len(node.Connections()) >= floor })
		took := time.Since(began)
		// The rest of the round is taken back, and nothing more is dialled.
		time.Sleep(time.Minute)
		total := c.dials()
		time.Sleep(time.Hour)
		if more := c.dials() - total; more != 0 {
			t.Errorf("got %d dials after the floor was reached, want none", more)
		}
		c.mu.Lock()
		t.Logf("%d connections after %v with %d dials (%d of %d peers dead), slowest %v, %d at once, %d in a second",
			floor, took, total, dead, peers, c.slowest, c.most, c.burst)
		if took > 3*c.slowest {
			t.Errorf("got %d connections after %v, want at most three times the slowest dial, %v", floor, took, c.slowest)
		}
		if c.most > inFlight || c.twice > 0 || c.burst > 20 {
			t.Errorf("got %d dials at once, %d in a second and %d of a peer that was being dialled, want at most %d, 20 and 0", c.most, c.burst, c.twice, inFlight)
		}
		c.mu.Unlock()
		status, err := node.Status(t.Context())
		if err != nil || status.State != "online" || status.Nodes < floor || status.Floor != floor {
			t.Errorf("got %+v, %v, want online with %d nodes", status, err, floor)
		}
	})
}

// TestChurn has a network of nodes of which one is restarted every virtual
// minute and away for half of one: nobody is below its floor for longer than it
// takes to notice a loss, and a minute. With GAMELAN_LONG there are more nodes for
// longer. With GAMELAN_CHURN it is 100 nodes for a virtual day, and memory must stay
// what it was.
func TestChurn(t *testing.T) {
	nodes, virtual, floor := 10, 12*time.Minute, 4
	day := os.Getenv("GAMELAN_CHURN") != ""
	switch {
	case day:
		nodes, virtual, floor = 100, 24*time.Hour, 8
	case os.Getenv("GAMELAN_LONG") != "" && !kit.RaceEnabled:
		nodes, virtual = 24, time.Hour
	}
	began := time.Now()
	gamelantest.Bubble(t, func(t *testing.T) { churn(t, nodes, floor, virtual, day) })
	t.Logf("%d nodes, %v of virtual time in %v", nodes, virtual, time.Since(began).Round(time.Millisecond))
}

// lossNoticed is how long a connection may be dead before it is known: the
// silence after which it is pinged, and the time for the pong.
const lossNoticed = 30*time.Second + 65*time.Second

func churn(t *testing.T, count, floor int, virtual time.Duration, measure bool) {
	net := gamelantest.NewNetwork(t)
	seeds := make([]string, count)
	for i := range seeds {
		seeds[i] = fmt.Sprintf("%s::/memory/%d", gamelantest.Secret(i+1).PublicKey(), i+1)
	}
	nodes := make([]*gamelan.Node, count)
	start := func(i int) {
		n, err := gamelan.Start(context.Background(), gamelan.Config{
			Secret: gamelantest.Secret(i + 1), Listen: []string{fmt.Sprintf("/memory/%d", i+1)}, Seeds: seeds, Floor: floor,
		}, gamelan.WithSystem(net.System), gamelan.WithTransport(net.Transport()))
		if err != nil {
			t.Fatalf("start node %d: %v", i+1, err)
		}
		nodes[i] = n
	}
	below := make([]time.Time, count) // since when
	var longest time.Duration
	look := func() {
		now := time.Now()
		for i, n := range nodes {
			switch {
			case n == nil || len(n.Connections()) >= floor:
				below[i] = time.Time{}
			case below[i].IsZero():
				below[i] = now
			default:
				longest = max(longest, now.Sub(below[i]))
			}
		}
	}
	for i := range nodes {
		start(i)
	}
	defer func() {
		for _, n := range nodes {
			if n != nil {
				n.Close(context.Background())
			}
		}
	}()
	var second, last hour
	begin := time.Now()
	for minute := 0; time.Since(begin) < virtual; minute++ {
		i := minute % count
		if err := nodes[i].Close(context.Background()); err != nil {
			t.Errorf("close node %d: %v", i+1, err)
		}
		nodes[i] = nil
		for range 15 {
			time.Sleep(2 * time.Second)
			look()
		}
		start(i)
		for range 15 {
			time.Sleep(2 * time.Second)
			look()
		}
		if now := time.Since(begin); measure && now > time.Hour && now <= 2*time.Hour {
			second.look(nodes)
		} else if measure && now > virtual-time.Hour {
			last.look(nodes)
		}
	}
	if limit := lossNoticed + time.Minute; longest > limit {
		t.Errorf("got a node below its floor for %v, want at most %v", longest, limit)
	}
	t.Logf("longest time below the floor: %v", longest)
	if !measure {
		return
	}
	t.Logf("in the second hour %v; in the last %v", &second, &last)
	if float64(last.memory()) > 1.05*float64(second.memory()) {
		t.Errorf("got %d bytes in use in the last hour, want at most 5 %% more than the %d of the second", last.memory(), second.memory())
	}
}

// hour is what a network of nodes needs, summed up over looks once a minute.
type hour struct {
	looks, bytes       uint64
	goroutines, linked int
}

func (h *hour) look(nodes []*gamelan.Node) {
	synctest.Wait()
	h.looks++
	h.bytes += heapInUse()
	h.goroutines += bubbled.Count()
	for _, n := range nodes {
		h.linked += len(n.Connections())
	}
}

func (h *hour) memory() uint64 { return h.bytes / max(h.looks, 1) }

func (h *hour) String() string {
	n := int(max(h.looks, 1))
	return fmt.Sprintf("%d bytes in use, %d goroutines, %d ends of connections", h.memory(), h.goroutines/n, h.linked/n)
}

func heapInUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestBubbleStatusTellsOfDelays has the way between two nodes deliver late and too late: a slow
// way is no failure, one that is slower than the limits allow ends the connection and the
// set-up of the next with that as the cause.
func TestBubbleStatusTellsOfDelays(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		var c gamelan.Config
		c.KeepAlive, c.Mux.PingTimeout = time.Second, 5*time.Second
		a, b := net.Start(c), net.Start(gamelan.Config{})
		says := func(parts ...string) {
			t.Helper()
			synctest.Wait() // the connection is gone before connectivity has heard of it
			status, err := a.Status(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			wantParts(t, status.Cause, parts...)
		}
		const slow, tooSlow = time.Second, 4 * time.Second // one way
		net.SetLinkBetween(a, b, memory.Link{Latency: slow})
		net.Connect(a, b)
		time.Sleep(20 * time.Second)
		says("connected to 1 node")
		conn, ok := a.Connection(b.ID())
		if !ok {
			t.Fatal("got no connection over a slow way")
		}
		d, err := a.Inspection().Tree().Inspect(t.Context(), conn.PID.Id)
		if stats, ok := d.Value.(connections.ConnStats); err != nil || !ok || stats.RTT != 2*slow {
			t.Errorf("got %+v, %v, want a round trip of %v", d.Value, err, 2*slow)
		}

		net.SetLinkBetween(a, b, memory.Link{Latency: tooSlow})
		gamelantest.Eventually(t, time.Minute, "the end of the connection", func() bool { return len(a.Connections()) == 0 })
		says("connected to nobody", "no answer by network: no answer to a ping within 5s")
		if _, err := a.Dial(t.Context(), b.ID()); err == nil {
			t.Error("got a connection over a way that is too slow")
		}
		says("the last dial failed", "at noise", "peer is silent: nothing within 6s")

		net.SetLinkBetween(a, b, memory.Link{})
		net.Connect(a, b)
		says("connected to 1 node")
	})
}

// TestWhyNotConnected looks at what the status says about a peer that is held and
// cannot be reached.
func TestWhyNotConnected(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{})
		release := a.Protect(b.ID(), "test")
		defer release()
		says := func(parts ...string) {
			t.Helper()
			synctest.Wait() // a connection is there before connectivity has heard of it
			status, err := a.Status(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			wantParts(t, status.Cause, parts...)
		}
		time.Sleep(10 * time.Second)
		says("connected to nobody", b.ID().String(), "protected by test-", "unknown peer")
		net.Introduce(a, b)
		gamelantest.Eventually(t, 2*time.Minute, "a connection", func() bool { return len(a.Connections()) == 1 })
		says("connected to 1 node")
		if got := a.Inspection().Peer(b.ID()).Protected; len(got) != 1 {
			t.Errorf("got owners %v, want one", got)
		}
		net.Partition(a, b)
		gamelantest.Eventually(t, 5*time.Minute, "the loss", func() bool { return len(a.Connections()) == 0 })
		time.Sleep(2 * time.Minute)
		says("its connection ended", " ago: no answer by network", "its last dial failed", "s ago: ", "no answer in time", "dial")
		net.Heal(a, b)
		gamelantest.Eventually(t, 5*time.Minute, "a connection again", func() bool { return len(a.Connections()) == 1 })
		if err := b.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		says("its connection ended 10s ago: ended by peer")
	})
}

func wantParts(t *testing.T, got string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(got, p) {
			t.Errorf("got %q, want %q in it", got, p)
		}
	}
}

// TestChoiceIsShown has the last choice that looked at a peer say what became of
// it.
func TestChoiceIsShown(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		b := net.Start(gamelan.Config{})
		c := net.Start(gamelan.Config{})
		a := net.Start(gamelan.Config{Floor: 1, Seeds: []string{b.Seed(), c.Seed()}, NoDHT: true}) // without neighbours to look for
		gamelantest.Eventually(t, time.Minute, "a connection", func() bool { return len(a.Connections()) >= 1 })
		time.Sleep(time.Minute)
		choice := a.Inspection().Peer(b.ID()).Choice
		if choice == nil || choice.Considered != 2 || choice.Missing != 1 {
			t.Fatalf("got %+v, want a choice among two for one", choice)
		}
		if _, r, ok := choice.Rank(b.ID()); !ok || len(r.Parts) == 0 || r.Verdict == "" {
			t.Errorf("got %+v, want its parts and the verdict", r)
		}
		// A peer that was disconnected on request is left alone. The first round dials
		// both, and may cancel the second dial when the first one is quicker.
		for left := map[identity.NodeID]bool{}; len(left) < 2; {
			gamelantest.Eventually(t, 2*time.Minute, "a connection to a peer that was not disconnected", func() bool { return len(a.Connections()) >= 1 })
			for _, ref := range a.Connections() {
				if left[ref.Peer] {
					t.Fatalf("got a connection to %s again, want it left alone", ref.Peer)
				}
				left[ref.Peer] = true
				if err := a.Disconnect(t.Context(), ref.Peer); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, closed := range nodetest.Trunk(a).Closed() {
			if closed.Reason.Code == "" || closed.Reason.By == "" {
				t.Errorf("got close reason %+v, want a code and an initiator", closed.Reason)
			}
		}
		time.Sleep(5 * time.Minute)
		status, _ := a.Status(t.Context())
		if len(a.Connections()) > 0 || !strings.Contains(status.Cause, "none of the 2 others") {
			t.Errorf("got %d connections, %q, want both left alone", len(a.Connections()), status.Cause)
		}
		gamelantest.Eventually(t, 10*time.Minute, "a connection again", func() bool { return len(a.Connections()) >= 1 })
		if a.Inspection().Peer(a.ID()).Choice != nil {
			t.Error("got a choice that looked at the node itself")
		}
	})
}

// TestBreakerSparesWhoIsAskedFor has three failures in a row stop the node's own
// dials of a peer, and nobody else's.
//
// conforms: V 30
func TestBreakerSparesWhoIsAskedFor(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		// Without the DHT, nobody but the floor dials by itself.
		a := net.Start(gamelan.Config{Floor: 3, NoDHT: true})
		b := net.Start(gamelan.Config{NoDHT: true})
		net.Connect(a, b) // a is not offline: failures count
		dead := gamelantest.Secret(500).PublicKey()
		if _, err := a.Peers().AddSeed(t.Context(), dead.String()+"::/memory/60000"); err != nil {
			t.Fatal(err)
		}
		tries := func(by string) (n int) {
			for _, x := range a.Inspection().Peer(dead.NodeID()).Attempts {
				if strings.Contains(x.By, by) {
					n++
				}
			}
			return n
		}
		gamelantest.Eventually(t, 10*time.Minute, "three failures", func() bool { return tries("too few connections") >= 3 })
		before := len(a.Inspection().Peer(dead.NodeID()).Attempts)
		time.Sleep(110 * time.Second)
		if got := len(a.Inspection().Peer(dead.NodeID()).Attempts); got != before {
			t.Errorf("got %d dials in two minutes after three failures, want none", got-before)
		}
		if _, err := a.Dial(t.Context(), dead.NodeID()); !errors.Is(err, transport.ErrUnreachable) && !errors.Is(err, transport.ErrAddressNotAvailable) {
			t.Errorf("dial on request: got %v, want it tried", err)
		}
		if got := len(a.Inspection().Peer(dead.NodeID()).Attempts); got != before+1 {
			t.Errorf("dial on request: got %d attempts more, want 1", got-before)
		}
		var refused *actors.DialError
		if _, err := a.Dial(t.Context(), dead.NodeID()); !errors.As(err, &refused) || len(refused.Attempts) != 1 {
			t.Errorf("got %v, want an attempt", err)
		}
	})
}
