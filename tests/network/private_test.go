package network

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/internal/transport/transporttest"
	"github.com/gamelan-p2p/gamelan/kad"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/transport"
	"github.com/gamelan-p2p/gamelan/transport/socks"
)

// warned are the warnings of a node.
type warned struct {
	mu    sync.Mutex
	lines strings.Builder
}

func (w *warned) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lines.Write(b)
}

func (w *warned) count(text string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Count(w.lines.String(), text)
}

func (w *warned) option() gamelan.Option {
	return gamelan.WithLogger(slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelWarn})))
}

func acme(t *testing.T) gamelan.PrivateConfig {
	t.Helper()
	p, err := gamelan.NewNetwork("acme")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestPrivateNetworkWithAnIntruder: five nodes find each other through the seed of their file. An
// intruder has everything but the secret: name, seeds and addresses, in a third variant even the
// identity of a member. It gets no connection, no member learns of its key, and the log names it.
//
// conforms: V 43
func TestPrivateNetworkWithAnIntruder(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		file := acme(t)
		var nodes []*gamelantest.Node
		var heard []*gamelantest.Collector
		var logs []*warned
		for i := range 5 {
			in, log := gamelantest.NewCollector(), new(warned)
			p := file
			n := net.Start(gamelan.Config{Private: &p, Floor: 8}, gamelan.WithHandler(in.New), log.option())
			if i == 0 {
				file.Seeds = []string{n.Seed()}
			}
			nodes, heard, logs = append(nodes, n), append(heard, in), append(logs, log)
		}
		for _, n := range nodes {
			gamelantest.Eventually(t, 10*time.Minute, "five nodes are connected with each other", func() bool { return len(n.Connections()) == 4 })
		}
		stolen := file
		stolen.Secret = acme(t).Secret
		intruders := []*gamelantest.Node{
			net.Start(gamelan.Config{Private: &stolen, Floor: 8}, quietly),
			net.Start(gamelan.Config{Network: "localnet", Seeds: file.Seeds, Floor: 8}, quietly),
		}
		elsewhere := gamelantest.NewNetwork(t) // an actor system has one node of an identity
		elsewhere.Network = net.Network
		twin := elsewhere.Start(gamelan.Config{Private: &stolen, Floor: 8, Secret: gamelantest.Secret(nodes[4].Number), Listen: []string{"/memory/99"}}, quietly)
		for _, x := range append(intruders, twin) {
			for _, n := range nodes {
				if n.ID() == x.ID() {
					continue
				}
				out, err := x.Send(t.Context(), introduced(t, x, n), []byte("let me in"), gamelan.Until(time.Minute))
				if err != nil || out.Kind != protocol.Failed {
					t.Fatalf("got %v, %v, want that the intruder's message fails", out, err)
				}
				if x != intruders[1] && !errors.Is(out.Err, gamelan.ErrSecretMayDiffer) {
					t.Errorf("got %v, want that the secret may differ", out.Err)
				}
				if _, err := n.Dial(t.Context(), introduced(t, n, x)); err == nil && x != twin {
					t.Errorf("node %d has connected to the intruder", n.Number)
				}
			}
		}
		time.Sleep(10 * time.Minute)
		for i, n := range nodes {
			for _, x := range intruders {
				if _, ok := n.Connection(x.ID()); ok {
					t.Errorf("node %d is connected with an intruder", n.Number)
				}
			}
			if got := len(n.Connections()); got != 4 {
				t.Errorf("node %d has %d connections, want 4", n.Number, got)
			}
			if heard[i].Len() != 0 {
				t.Errorf("node %d heard %q", n.Number, heard[i].Bodies())
			}
			if i < 4 && logs[i].count("the dialer has not the secret of acme") == 0 {
				t.Errorf("node %d: nothing in the log", n.Number)
			}
			if got := logs[i].count("has not the secret"); got > 60 {
				t.Errorf("node %d: %d lines about it, want few", n.Number, got)
			}
		}
		for _, n := range nodes {
			for _, m := range nodes {
				if n == m {
					continue
				}
				if out, err := n.Send(t.Context(), m.ID(), []byte("hello")); err != nil || out.Kind != protocol.Confirmed {
					t.Errorf("%d to %d: got %v, %v", n.Number, m.Number, out, err)
				}
			}
		}
		for i := range nodes {
			gamelantest.Eventually(t, time.Minute, "messages of all", func() bool { return heard[i].Len() == 4 })
		}
	})
}

var quietly = gamelan.WithLogger(slog.New(slog.DiscardHandler))

// introduced tells a node where another one is.
func introduced(t *testing.T, n, to *gamelantest.Node) (id identity.NodeID) {
	t.Helper()
	id, err := n.Peers().AddAt(t.Context(), fmt.Sprintf("%s::%s", to.PublicKey(), to.Addr))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// TestRotationUnderTraffic changes the secret while messages go, in three steps, each in some order of the
// nodes. After each change of one node, each node can dial each other one. There are two such networks, and six with
// GAMELAN_LONG.
//
// conforms: V 43
func TestRotationUnderTraffic(t *testing.T) {
	networks := uint64(2)
	if os.Getenv("GAMELAN_LONG") != "" {
		networks = 6
	}
	for seed := range networks {
		gamelantest.Bubble(t, func(t *testing.T) {
			net, order := gamelantest.NewNetwork(t), rand.New(rand.NewPCG(seed, 1))
			old, fresh := acme(t), acme(t)
			var nodes []*gamelantest.Node
			var heard []*gamelantest.Collector
			for range 5 {
				in := gamelantest.NewCollector()
				nodes = append(nodes, net.Start(gamelan.Config{Private: &old}, gamelan.WithHandler(in.New), quietly))
				heard = append(heard, in)
			}
			// Messages go from each node to the next one, and make the dials in that direction. The other pairs
			// dial for the test alone.
			everyPair := func(what string) {
				t.Helper()
				for i, from := range nodes {
					next := nodes[(i+1)%len(nodes)]
					if ref, ok := from.Connection(next.ID()); ok {
						if err := from.Disconnect(t.Context(), next.ID()); err != nil {
							t.Fatal(err)
						}
						gamelantest.Eventually(t, time.Minute, what+": the next connection for the messages", func() bool {
							now, ok := from.Connection(next.ID())
							return ok && now != ref
						})
					}
					for j, to := range nodes {
						if j == i || (i+1)%len(nodes) == j || (j+1)%len(nodes) == i {
							continue
						}
						synctest.Wait() // the other end may have the connection a moment later
						if _, ok := from.Connection(to.ID()); ok {
							if err := from.Disconnect(t.Context(), to.ID()); err != nil {
								t.Fatal(err)
							}
						}
						gamelantest.Eventually(t, time.Minute, fmt.Sprintf("%s: no connection of %d and %d", what, from.Number, to.Number), func() bool {
							_, a := from.Connection(to.ID())
							_, b := to.Connection(from.ID())
							return !a && !b
						})
						if _, err := from.Dial(t.Context(), introduced(t, from, to)); err != nil {
							t.Fatalf("%s: %d cannot dial %d: %v", what, from.Number, to.Number, err)
						}
					}
				}
			}
			for i, n := range nodes {
				introduced(t, n, nodes[(i+1)%len(nodes)])
			}
			everyPair("at first")
			ctx, stop := context.WithCancel(t.Context())
			var traffic sync.WaitGroup
			sent := make([]int, len(nodes))
			for i, n := range nodes {
				traffic.Go(func() {
					for ctx.Err() == nil {
						to := nodes[(i+1)%len(nodes)]
						out, err := n.Send(context.Background(), to.ID(), fmt.Appendf(nil, "%d", sent[i]), gamelan.Handled(), gamelan.Until(time.Minute))
						if err != nil || out.Kind != protocol.Confirmed {
							t.Errorf("%d: message %d: got %v, %v", n.Number, sent[i], out, err)
							return
						}
						sent[i]++
						time.Sleep(20 * time.Millisecond)
					}
				})
			}
			for step, s := range []struct{ secret, accept *protocol.NetworkSecret }{{old.Secret, fresh.Secret}, {fresh.Secret, old.Secret}, {fresh.Secret, nil}} {
				for _, i := range order.Perm(len(nodes)) {
					if err := nodes[i].SetSecrets(s.secret, s.accept); err != nil {
						t.Fatal(err)
					}
					everyPair(fmt.Sprintf("step %d, node %d", step+1, nodes[i].Number))
				}
			}
			stop()
			traffic.Wait()
			for i := range nodes {
				if got := heard[(i+1)%len(nodes)].Len(); got != sent[i] || sent[i] < 10 {
					t.Errorf("got %d of %d messages of node %d, want each once", got, sent[i], i+1)
				}
			}
			left := net.Start(gamelan.Config{Private: &old}, quietly)
			if _, err := left.Dial(t.Context(), introduced(t, left, nodes[0])); !errors.Is(err, gamelan.ErrSecretMayDiffer) {
				t.Errorf("with the secret that was given up: got %v, want it refused", err)
			}
		})
	}
}

// TestRotationInTheWrongOrder: a node that switches before the others accept the new secret cannot dial them, and
// they can dial it.
func TestRotationInTheWrongOrder(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		old, fresh := acme(t), acme(t)
		a, b := net.Start(gamelan.Config{Private: &old}, quietly), net.Start(gamelan.Config{Private: &old}, quietly)
		if err := a.SetSecrets(fresh.Secret, old.Secret); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Dial(t.Context(), introduced(t, a, b)); !errors.Is(err, gamelan.ErrSecretMayDiffer) {
			t.Errorf("got %v, want that the secret may differ", err)
		}
		if _, err := b.Dial(t.Context(), introduced(t, b, a)); err != nil {
			t.Errorf("the other way: got %v", err)
		}
		synctest.Wait()
		if p := a.Inspection().Admission(t.Context()).Private; p == nil || len(p.Latecomers) != 1 || p.Latecomers[0].NodeID != b.ID().String() ||
			p.Secret != fresh.Secret.Digits() || p.Accept != old.Secret.Digits() {
			t.Errorf("got %+v, want that b has connected with the second secret", p)
		}
		for _, bad := range []*protocol.NetworkSecret{nil, {}} {
			if err := a.SetSecrets(bad, nil); !errors.Is(err, protocol.ErrBadSecret) {
				t.Errorf("%d bytes: got %v, want ErrBadSecret", len(bad.Bytes()), err)
			}
		}
		if err := net.Start(gamelan.Config{}).SetSecrets(fresh.Secret, nil); err == nil {
			t.Error("a node in no private network: got no error")
		}
	})
}

// TestWhoIsOnTheSecondSecret: the list has whoever would not get in after the last step, and nobody else.
//
// conforms: V 43
func TestWhoIsOnTheSecondSecret(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		old, fresh := acme(t), acme(t)
		start := func(secret, accept *protocol.NetworkSecret) *gamelantest.Node {
			return net.Start(gamelan.Config{Private: &gamelan.PrivateConfig{Name: "acme", Secret: secret, Accept: accept}, Floor: gamelan.NoFloor}, quietly)
		}
		change := func(n *gamelantest.Node, secret, accept *protocol.NetworkSecret) {
			t.Helper()
			time.Sleep(time.Second)
			if err := n.SetSecrets(secret, accept); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		dial := func(from, to *gamelantest.Node) {
			t.Helper()
			if _, err := from.Dial(t.Context(), introduced(t, from, to)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		hangUp := func(from, to *gamelantest.Node) {
			t.Helper()
			if err := from.Disconnect(t.Context(), to.ID()); err != nil {
				t.Fatal(err)
			}
			gamelantest.Eventually(t, time.Minute, "the end", func() bool {
				_, x := from.Connection(to.ID())
				_, y := to.Connection(from.ID())
				return !x && !y
			})
		}
		names := make(map[string]string)
		list := func(n *gamelantest.Node) (text []string) {
			for _, l := range n.Inspection().Admission(t.Context()).Private.Latecomers {
				s := names[l.NodeID]
				if l.Connected {
					s += " connected"
				}
				if l.Earlier {
					s += " earlier"
				}
				text = append(text, s)
			}
			slices.Sort(text)
			return text
		}
		want := func(n *gamelantest.Node, what string, entries ...string) {
			t.Helper()
			if got := list(n); !slices.Equal(got, entries) {
				t.Errorf("%s: got %q, want %q", what, got, entries)
			}
		}
		a, b, c, d := start(old.Secret, fresh.Secret), start(old.Secret, fresh.Secret), start(old.Secret, fresh.Secret), start(old.Secret, fresh.Secret)
		for name, n := range map[string]*gamelantest.Node{"b": b, "c": c, "d": d} {
			names[n.ID().String()] = name
		}
		dial(c, a)                                  // with the old one, and stays
		change(b, fresh.Secret, old.Secret)         // is ahead of a
		dial(b, a)                                  // with the new one
		want(a, "before the switch", "b connected") // has connected with a's second one
		change(a, fresh.Secret, old.Secret)
		want(a, "after the switch", "c connected earlier")
		dial(d, a)
		want(a, "d is behind", "c connected earlier", "d connected")
		hangUp(d, a)
		want(a, "d has gone", "c connected earlier", "d")
		dial(a, d) // with the new one, which d accepts; it says nothing about what d dials with
		want(a, "a has dialled d", "c connected earlier", "d connected")
		hangUp(a, d)
		change(d, fresh.Secret, old.Secret)
		change(c, fresh.Secret, old.Secret)
		dial(d, a)
		want(a, "d has the step", "c connected earlier")
		hangUp(c, a)
		dial(c, a)
		want(a, "all have the step")
		for range 20 { // the list is short
			x := start(old.Secret, fresh.Secret)
			dial(x, a)
			hangUp(x, a)
		}
		if got := len(list(a)); got != 16 {
			t.Errorf("got %d peers that came with the second secret, want the last 16", got)
		}
		change(a, fresh.Secret, nil)
		want(a, "at the end")
	})
}

// TestASecretThatIsGivenUp: connections that were set up with it are closed, of both directions, and no others.
// That cuts off a stranger who has connected with a secret that has leaked.
//
// conforms: V 43
func TestASecretThatIsGivenUp(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		old, fresh, other := acme(t), acme(t), acme(t)
		log := new(warned)
		start := func(secret, accept *protocol.NetworkSecret, opts ...gamelan.Option) *gamelantest.Node {
			return net.Start(gamelan.Config{Private: &gamelan.PrivateConfig{Name: "acme", Secret: secret, Accept: accept}, Floor: gamelan.NoFloor}, append([]gamelan.Option{quietly}, opts...)...)
		}
		a := start(old.Secret, fresh.Secret, gamelan.WithLogger(slog.New(slog.NewTextHandler(log, nil))))
		b, c, d := start(fresh.Secret, old.Secret), start(old.Secret, fresh.Secret), start(old.Secret, nil)
		for _, pair := range [][2]*gamelantest.Node{{b, a}, {c, a}, {a, d}} {
			if _, err := pair[0].Dial(t.Context(), introduced(t, pair[0], pair[1])); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		at := a.Connections()
		if len(at) != 3 {
			t.Fatalf("got %d connections, want 3", len(at))
		}
		if err := a.SetSecrets(fresh.Secret, old.Secret); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if got := a.Connections(); len(got) != 3 {
			t.Errorf("got %d connections while both secrets are accepted, want 3", len(got))
		}
		ref, _ := a.Connection(b.ID())
		if err := a.SetSecrets(fresh.Secret, nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if got := a.Connections(); len(got) != 1 || got[0] != ref {
			t.Errorf("got %v, want the connection with b alone, which was set up with the secret that stays", got)
		}
		for _, closed := range nodetest.Trunk(a.Node).Closed() {
			if closed.Reason.Code != actors.CloseSecret || closed.Reason.By != "us" {
				t.Errorf("got %v, want that its secret is given up", closed.Reason)
			}
		}
		if log.count("closing connections whose secret of the network is given up") == 0 {
			t.Errorf("got the log %s, want a line about it", log.lines.String())
		}
		if err := a.SetSecrets(other.Secret, nil); err != nil { // now: nobody has it yet
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if got := a.Connections(); len(got) != 0 {
			t.Errorf("got %v, want none with a secret that is new", got)
		}
	})
}

// TestPrivateNetworkThroughAProxy: what a node dials through a proxy, or behind Tor, has the same handshake.
func TestPrivateNetworkThroughAProxy(t *testing.T) {
	p := &transporttest.Proxy{}
	tr, err := socks.New(socks.Options{Proxy: transport.FromAddrPort(p.Start(t))})
	if err != nil {
		t.Fatal(err)
	}
	file, other := acme(t), acme(t)
	start := func(private *gamelan.PrivateConfig, opts ...gamelan.Option) *gamelan.Node {
		n, err := gamelan.Start(t.Context(), gamelan.Config{Private: private, Listen: []string{"/ip4/127.0.0.1/tcp/0"}, Floor: gamelan.NoFloor}, append(opts, quietly)...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { n.Close(context.Background()) })
		return n
	}
	heard := gamelantest.NewCollector()
	listens := start(&file, gamelan.WithHandler(heard.New))
	dials, stranger := start(&file, gamelan.WithTransport(tr)), start(&other, gamelan.WithTransport(tr))
	for _, n := range []*gamelan.Node{dials, stranger} {
		id, err := n.Peers().AddAt(t.Context(), listens.Seed())
		if err != nil {
			t.Fatal(err)
		}
		out, err := n.Send(t.Context(), id, []byte("through the proxy"))
		switch {
		case err != nil:
			t.Fatal(err)
		case n == dials && out.Kind != gamelan.Confirmed:
			t.Errorf("got %v, want it confirmed", out)
		case n == stranger && !errors.Is(out.Err, gamelan.ErrSecretMayDiffer):
			t.Errorf("got %v, want that the secret may differ", out)
		}
	}
	if len(p.Asked()) < 2 {
		t.Errorf("got %v, want both dials through the proxy", p.Asked())
	}
}

// TestServicesOfAPrivateNetwork: all of the node runs inside: the key-value DHT, a message that is stored
// for somebody who is away, and a search for its address.
func TestServicesOfAPrivateNetwork(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		net.Quiet = false
		file := acme(t)
		var nodes []*gamelantest.Node
		var clients []*kad.Client
		last := net.DataDir()
		dirs := func(i int) string {
			if i < 4 {
				return net.DataDir()
			}
			return last
		}
		start := func(opts ...gamelan.Option) *gamelantest.Node {
			p := file
			n := net.Start(gamelan.Config{Private: &p, Floor: 8, DataDir: dirs(len(nodes))}, append(opts, quietly)...)
			if len(nodes) == 0 {
				file.Seeds = []string{n.Seed()}
			}
			nodes = append(nodes, n)
			return n
		}
		for range 4 {
			n := start()
			c, err := n.KV().Open(t.Context(), kad.Config{Name: "main"})
			if err != nil {
				t.Fatal(err)
			}
			clients = append(clients, c)
		}
		heard := gamelantest.NewCollector()
		away := start(gamelan.WithType(1077, heard.New))
		for _, n := range nodes {
			gamelantest.Eventually(t, 10*time.Minute, "all are connected", func() bool { return len(n.Connections()) == 4 })
		}
		time.Sleep(5 * time.Minute) // clients of the key-value DHT find each other
		report, err := clients[1].Put(t.Context(), []byte("a value"))
		if err != nil {
			t.Fatal(err)
		}
		if r, err := clients[3].Get(t.Context(), report.Key); err != nil || string(r.Value) != "a value" {
			t.Errorf("got %v, %v, want the value of another node", r, err)
		}
		key := away.PublicKey()
		net.Kill(away)
		time.Sleep(2 * time.Minute)
		if _, err := nodes[1].DHT().Send(t.Context(), dht.Message{To: dht.Propagate{To: key}, Type: 1077, Body: []byte("while you were away"), Encrypt: true}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if back := start(gamelan.WithType(1077, heard.New)); back.PublicKey() != key {
			t.Fatal("another identity")
		}
		gamelantest.Eventually(t, 10*time.Minute, "the stored message", func() bool { return len(heard.Delivered()) == 1 })
	})
}
