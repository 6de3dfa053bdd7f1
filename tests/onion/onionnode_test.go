package onion

import (
	"context"
	"encoding/binary"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/tests/onion/tornet"
	"github.com/gamelan-p2p/gamelan/transport/tor"
)

// onionNode is a node behind one client of the private network. Its only address is its onion
// service.
type onionNode struct {
	*gamelan.Node
	t     *testing.T
	tor   *tornet.Client
	onion ma.Multiaddr
	heard *heard
	ended sync.WaitGroup

	mu     sync.Mutex
	states []tor.ServiceState // of the onion service, each when it came
	change chan struct{}      // closed with the next state
}

// heard is what a node has received, each message by the number in its body.
type heard struct {
	mu    sync.Mutex
	order []int
	count map[int]int
}

func (h *heard) add(m gamelan.Received) {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := int(binary.BigEndian.Uint32(m.Body))
	h.order = append(h.order, n)
	h.count[n]++
}

func (h *heard) times(n int) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.count[n]
}

// wait waits until a message was heard.
func (h *heard) wait(t *testing.T, n int) {
	t.Helper()
	for limit := time.Now().Add(time.Minute); h.times(n) == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("message %d is confirmed and was not heard", n)
		}
	}
}

// repeats is the number of the first message that may be heard twice, and late.
const repeats = 1 << 20

// ascending reports whether no message, of those that are sent once, came after one with a
// higher number.
func (h *heard) ascending() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	last := 0
	for _, n := range h.order {
		if n >= repeats {
			continue
		}
		if n < last {
			return false
		}
		last = n
	}
	return true
}

// body returns message n, of 1 KiB.
func body(n int) []byte {
	b := make([]byte, 1<<10)
	binary.BigEndian.PutUint32(b, uint32(n))
	return b
}

// newOnionNode starts a node behind a client, without waiting until its onion service is published.
func newOnionNode(t *testing.T, client *tornet.Client, c gamelan.Config, opts ...gamelan.Option) *onionNode {
	t.Helper()
	n := &onionNode{t: t, tor: client, heard: &heard{count: map[int]int{}}, change: make(chan struct{})}
	c.Transport, c.Floor = gamelan.TransportTor, gamelan.NoFloor
	c.Tor.ControlAddress, c.Tor.ControlAuth = tcpAddress(t, client.Control).String(), "safecookie=@"+client.Cookie
	opts = append([]gamelan.Option{
		gamelan.WithLogger(slog.New(slog.DiscardHandler)), gamelan.WithHandler(gamelan.Handle(n.heard.add)),
	}, opts...)
	var err error
	if n.Node, err = gamelan.Start(t.Context(), c, opts...); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	n.ended.Go(func() { n.follow(ctx) })
	t.Cleanup(func() {
		stop()
		n.ended.Wait()
		n.Close(context.Background())
	})
	status, _ := n.Tor()
	n.onion = status.Onion
	return n
}

// follow records the states of the onion service until ctx ends.
func (n *onionNode) follow(ctx context.Context) {
	last := tor.ServiceState("")
	for tick := time.NewTicker(5 * time.Millisecond); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
		}
		status, _ := n.Tor()
		if status.Service.State == last {
			continue
		}
		last = status.Service.State
		n.mu.Lock()
		n.states = append(n.states, last)
		close(n.change)
		n.change = make(chan struct{})
		n.mu.Unlock()
	}
}

// since waits until the onion service has reached a state after the first seen ones, and
// returns how many have been reached.
func (n *onionNode) since(seen int, state tor.ServiceState) int {
	n.t.Helper()
	limit := time.After(2 * time.Minute)
	for {
		n.mu.Lock()
		states, change := n.states, n.change
		n.mu.Unlock()
		for i := seen; i < len(states); i++ {
			if states[i] == state {
				return i + 1
			}
		}
		select {
		case <-change:
		case <-limit:
			n.t.Fatalf("the onion service is not %s after two minutes: got %v", state, states[seen:])
		}
	}
}

// advertised waits until the node tells peers its onion address.
func (n *onionNode) advertised() {
	n.t.Helper()
	for limit := time.Now().Add(time.Minute); !strings.Contains(n.Seed(), n.onion.String()); time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			n.t.Fatalf("got the seed %s, want the onion address in it", n.Seed())
		}
	}
}

// know tells a node about another one, at its onion address alone.
func (n *onionNode) know(other *onionNode) identity.NodeID {
	n.t.Helper()
	peer, err := peerstore.ParseSeed(other.Seed())
	if err != nil {
		n.t.Fatal(err)
	}
	if err := n.Peers().Add(n.t.Context(), peer); err != nil {
		n.t.Fatal(err)
	}
	return other.ID()
}

// pairOfNodes returns two cold nodes whose onion services are published, and of which the first knows
// the second.
func pairOfNodes(t *testing.T, c gamelan.Config) (a, b *onionNode) {
	t.Helper()
	n := network(t)
	a, b = newOnionNode(t, n.Clients[0], c), newOnionNode(t, n.Clients[1], c)
	for _, one := range []*onionNode{a, b} {
		one.since(0, tor.Published)
		one.advertised()
	}
	a.know(b)
	return a, b
}

// flight is a message under way.
type flight struct {
	n       int
	pending *gamelan.Pending[gamelan.Outcome]
}

// submit sends numbered messages.
func (n *onionNode) submit(to identity.NodeID, from, count int, opts ...gamelan.SendOption) (all []flight) {
	for i := from; i < from+count; i++ {
		p, err := n.Submit(n.t.Context(), to, body(i), opts...)
		if err != nil {
			n.t.Errorf("message %d: %v", i, err)
			return all
		}
		all = append(all, flight{i, p})
	}
	return all
}

// confirmed waits for the outcomes, all of which have to be confirmed, and until all were heard.
func (n *onionNode) confirmed(all []flight, by *heard) {
	n.t.Helper()
	if ends := n.truth(all, by); ends[gamelan.Confirmed] != len(all) {
		n.t.Errorf("got %v, want %d messages confirmed", ends, len(all))
	}
}

// truth waits for the outcomes and holds each against what the receiver heard: a message that is
// confirmed was heard once, and one that has failed was not. It returns how many ended in each way.
func (n *onionNode) truth(all []flight, by *heard) map[gamelan.OutcomeKind]int {
	n.t.Helper()
	ends := map[gamelan.OutcomeKind]int{}
	for _, f := range all {
		o := f.pending.Wait(n.t.Context())
		ends[o.Kind]++
		switch o.Kind {
		case gamelan.Confirmed: // the handler may not have come to it yet
			by.wait(n.t, f.n)
		case gamelan.Failed:
			if times := by.times(f.n); times != 0 {
				n.t.Errorf("message %d has failed (%v) and was heard %d times", f.n, o, times)
			}
		}
	}
	return ends
}

// arrive sends again, with Resend, what was not confirmed, until all is, and waits until all was
// heard.
func (n *onionNode) arrive(to *onionNode, all []flight) {
	n.t.Helper()
	limit := time.Now().Add(3 * time.Minute)
	for _, f := range all {
		for outcome := f.pending.Wait(n.t.Context()); outcome.Kind != gamelan.Confirmed; outcome = f.pending.Wait(n.t.Context()) {
			if time.Now().After(limit) {
				n.t.Fatalf("message %d: got %v after three minutes, want it confirmed", f.n, outcome)
			}
			time.Sleep(10 * time.Millisecond) // it may have failed at once
			var err error
			if f.pending, err = n.Submit(n.t.Context(), to.ID(), body(f.n), gamelan.Resend()); err != nil {
				n.t.Fatalf("message %d: %v", f.n, err)
			}
		}
		to.heard.wait(n.t, f.n)
	}
}

// seen returns how many states the onion service has had.
func (n *onionNode) seen() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.states)
}
