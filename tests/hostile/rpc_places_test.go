package hostile

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/dht/netsync"
	"github.com/gamelan-p2p/gamelan/internal/protocol/onecall"
	"github.com/gamelan-p2p/gamelan/internal/rawpeer"
	"github.com/gamelan-p2p/gamelan/internal/transport/connpool"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

const echoService = "/hostile/echo/1"

// serving attacks a node with a service of the user's and with its own.
func serving(t *testing.T, limits gamelan.RPCConfig, attack func(t *testing.T, n *target, tr *placed)) {
	t.Helper()
	placing(t, gamelan.Config{DHT: &gamelan.DHTConfig{}, RPC: limits}, attack, gamelan.WithService(echoing(func() {})))
}

// echoing is the user's service, whose method does something first.
func echoing(first func()) rpc.Service {
	return rpc.Service{Protocol: echoService, Methods: []rpc.Method{
		rpc.UnaryBytes(1, func(_ context.Context, b []byte) ([]byte, error) { first(); return b, nil }),
	}}
}

// client is an honest node from an address of its own.
func (n *target) client(tr *placed, number int) *gamelantest.Node {
	n.t.Helper()
	tr.place(fmt.Sprintf("/ip4/8.8.%d.8", number))
	c := n.net.Start(gamelan.Config{})
	n.net.Connect(c, n.Node)
	return c
}

// echo makes a call to the user's service.
func (n *target) echo(from *gamelantest.Node) error {
	ctx, cancel := context.WithTimeout(n.t.Context(), 5*time.Second)
	defer cancel()
	_, err := rpc.CallBytes(ctx, from.RPC().Client(n.ID(), echoService), 1, []byte("hello"))
	return err
}

// fresh has that many new nodes call the user's service and ask for peers, and returns how
// many could do both.
func (n *target) fresh(tr *placed, first, count int) (served int) {
	n.t.Helper()
	for i := range count {
		c := n.client(tr, first+i)
		ctx, cancel := context.WithTimeout(n.t.Context(), 5*time.Second)
		asked := error(nil)
		for _, err := range rpc.ItemsBytes(ctx, c.RPC().Client(n.ID(), protocol.PeersID), netsync.MethodGetPeers, wire.GetPeers{MaxClaims: 5, MaxAddressesPerClaim: 5}.Append(nil)) {
			asked = err
		}
		cancel()
		if err := n.echo(c); err == nil && asked == nil {
			served++
		} else {
			n.t.Logf("client %d: got %v from the user's service, %v from the node's", i, err, asked)
		}
	}
	return served
}

// TestSilentHandshakes has a few keys of one address open sessions with the node's own
// service, and with the user's, without a handshake: fresh clients of both are served as
// without the attack.
//
// conforms: V 39
func TestSilentHandshakes(t *testing.T) {
	for name, service := range map[string]protocol.ID{"own": protocol.PeersID, "user's": echoService} {
		t.Run(name, func(t *testing.T) {
			serving(t, gamelan.RPCConfig{}, func(t *testing.T, n *target, tr *placed) {
				control := n.fresh(tr, 0, 1)
				tr.place("/ip4/6.6.6.6")
				for i := range 12 {
					p := connect(t, n.net.Transport(), n.Addr, secretOf(i))
					for k := range uint32(3) {
						p.open(2*k+1, optimistic(string(service)))
					}
				}
				synctest.Wait()
				if got := n.fresh(tr, 10, 3); control != 1 || got != 3 {
					t.Errorf("got %d of 3 fresh clients served, and %d of 1 without the attack", got, control)
				}
			})
		})
	}
}

// TestIdleSessions has keys of one address hold all sessions with the user's service: fresh
// clients are served in place of the longest idle of these sessions. A node whose session has made
// way notices nothing.
//
// conforms: V 19, 39
func TestIdleSessions(t *testing.T) {
	serving(t, gamelan.RPCConfig{MaxSessions: 40}, func(t *testing.T, n *target, tr *placed) {
		honest := n.client(tr, 1)
		if err := n.echo(honest); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		tr.place("/ip4/6.6.6.6")
		var held []*peer
		open := func() (n int) {
			for _, p := range held {
				for k := range uint32(10) {
					if s := p.Stream(2*k + 1); !s.FIN && len(replies(s.Data)) > 0 {
						n++
					}
				}
			}
			return n
		}
		for i := range 5 {
			p := connect(t, n.net.Transport(), n.Addr, secretOf(i))
			held = append(held, p)
			for k := range uint32(10) {
				p.session(2*k+1, echoService)
			}
		}
		if got := open(); got != 39 {
			t.Errorf("got %d sessions of one address, want those that found a place, 39", got)
		}
		time.Sleep(31 * time.Second)
		if got := n.fresh(tr, 10, 8); got != 8 {
			t.Errorf("got %d of 8 fresh clients served", got)
		}
		synctest.Wait()
		if got := open(); got > 31 {
			t.Errorf("got %d sessions of the attacker, want them to make way", got)
		}
		if err := n.echo(honest); err != nil {
			t.Errorf("the node whose session may have made way: %v", err)
		}
	})
}

// TestIdleSessionsRest has keys hold sessions in which nothing happens: after a while none of them has
// a goroutine. Each still answers a request, also one that comes in two parts, and a session ends with its client.
func TestIdleSessionsRest(t *testing.T) {
	serving(t, gamelan.RPCConfig{}, func(t *testing.T, n *target, tr *placed) {
		const peers, each = 5, 10
		var held []*peer
		for i := range peers {
			held = append(held, connect(t, n.net.Transport(), n.Addr, secretOf(i)))
		}
		time.Sleep(10 * time.Second)
		before := runtime.NumGoroutine()
		for _, p := range held {
			for k := range uint32(each) {
				p.session(2*k+1, echoService)
			}
		}
		for round := range 3 {
			time.Sleep(10 * time.Second)
			if got := runtime.NumGoroutine() - before; got > each {
				t.Errorf("round %d: got %d more goroutines for %d idle sessions", round, got, peers*each)
			}
			request := string(onecall.AppendRequest(nil, onecall.Request{ID: uint32(round), Method: 1, Deadline: 10, Payload: []byte("hello")}))
			for _, p := range held {
				for k := range uint32(each) {
					p.must(p.Data(0, 2*k+1, request[:3]))
					if k%2 > 0 {
						time.Sleep(time.Duration(k) * time.Second)
					}
					p.must(p.Data(0, 2*k+1, request[3:]))
				}
			}
			synctest.Wait()
			for i, p := range held {
				for k := range uint32(each) {
					if got := len(replies(p.Stream(2*k + 1).Data)); got != round+2 {
						t.Errorf("round %d, peer %d, session %d: got %d answers, want %d", round, i, k, got-1, round+1)
					}
				}
			}
		}
		time.Sleep(10 * time.Second)
		for _, p := range held {
			p.must(p.Data(rawpeer.FIN, 1, ""))
		}
		synctest.Wait()
		for i, p := range held {
			if !p.Stream(1).FIN {
				t.Errorf("peer %d: got no end of the session that it has ended", i)
			}
		}
		if got, want := kit.LineOf(n.t, n.Node, "services/rpc"), fmt.Sprintf("%d sessions", peers*(each-1)); !strings.Contains(got, want) {
			t.Errorf("got %q, want %s", got, want)
		}
	})
}

// TestSessionsMakeWay has two nodes share one place: each finds its session closed, and
// opens another one without an error.
//
// conforms: V 19
func TestSessionsMakeWay(t *testing.T) {
	serving(t, gamelan.RPCConfig{MaxSessions: 1}, func(t *testing.T, n *target, tr *placed) {
		a, b := n.client(tr, 1), n.client(tr, 2)
		for i := range 6 {
			from := a
			if i%2 > 0 {
				from = b
			}
			if err := n.echo(from); err != nil {
				t.Errorf("call %d: %v", i, err)
			}
			time.Sleep(31 * time.Second)
		}
		if got := kit.LineOf(n.t, n.Node, "services/rpc"); !strings.Contains(got, "5 evicted") {
			t.Errorf("got %q, want that 5 were evicted", got)
		}
	})
}

// TestNoCallIsLostWhenSessionsMakeWay has one node hold all places, with calls all the time, and
// another come: sessions make way between calls. Every call is answered, and its method has run once. There are 8 calls of each,
// and 20 with GAMELAN_LONG.
func TestNoCallIsLostWhenSessionsMakeWay(t *testing.T) {
	const places = 4
	calls := 8
	if os.Getenv("GAMELAN_LONG") != "" {
		calls = 20
	}
	var ran, answered atomic.Int64
	service := echoing(func() {
		ran.Add(1)
		time.Sleep(rand.N(50 * time.Millisecond))
	})
	placing(t, gamelan.Config{DHT: &gamelan.DHTConfig{}, RPC: gamelan.RPCConfig{MaxSessions: places}}, func(t *testing.T, n *target, tr *placed) {
		call := func(c *gamelantest.Node) {
			for {
				_, err := rpc.CallBytes(t.Context(), c.RPC().Client(n.ID(), echoService), 1, []byte("hello"))
				if err == nil {
					answered.Add(1)
					return
				}
				if _, ok := errors.AsType[*rpc.RejectedError](err); !ok {
					t.Error(err)
					return
				}
				time.Sleep(time.Second)
			}
		}
		// A session carries many calls, so it takes many nodes.
		var clients []*gamelantest.Node
		for i := range 3 * places {
			clients = append(clients, n.client(tr, i+1))
		}
		var wg sync.WaitGroup
		for _, c := range clients {
			for range 2 {
				wg.Go(func() {
					for range calls {
						call(c)
						time.Sleep(rand.N(time.Minute))
					}
				})
			}
		}
		wg.Wait()
		if ran.Load() != answered.Load() {
			t.Errorf("got %d methods run for %d calls answered", ran.Load(), answered.Load())
		}
		if got := kit.LineOf(n.t, n.Node, "services/rpc"); !strings.Contains(got, "evicted") {
			t.Errorf("got %q, want that sessions were evicted", got)
		}
	}, gamelan.WithService(service))
}

// TestSilentSubstreams has many keys of one source open as many substreams as each may, and say
// nothing on them: the oldest are reset, and fresh clients of the services are served.
//
// conforms: V 39
func TestSilentSubstreams(t *testing.T) {
	const keys, each = 25, 80
	serving(t, gamelan.RPCConfig{}, func(t *testing.T, n *target, tr *placed) {
		var silent []*peer
		tr.place("/ip4/6.6.6.6")
		for i := range keys {
			p := connect(t, n.net.Transport(), n.Addr, secretOf(i))
			silent = append(silent, p)
			for k := range uint32(each) {
				p.open(2*k+1, "")
			}
		}
		synctest.Wait()
		if got := n.fresh(tr, 10, 3); got != 3 {
			t.Errorf("got %d of 3 fresh clients served", got)
		}
		synctest.Wait() // until what was reset for them has ended
		open := 0
		for _, p := range silent {
			open += n.opened(p)
		}
		if open == 0 || open > connpool.MaxNegotiations {
			t.Errorf("got %d silent substreams, want at most %d", open, connpool.MaxNegotiations)
		}
	})
}
