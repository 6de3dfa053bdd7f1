package finding

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/actors/discoverypart"
	"github.com/gamelan-p2p/gamelan/internal/dht/discovery"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
	"github.com/gamelan-p2p/gamelan/supervisor"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
	"github.com/gamelan-p2p/gamelan/transport/memory"
)

func itoa(n int) string { return strconv.Itoa(n) }

// finding is the settings of a node that looks for others of its own accord, beginning with
// these seeds. It sends no Joins, so that peer lists alone tell it of others.
func finding(seeds ...*gamelantest.Node) gamelan.Config {
	cfg := gamelan.Config{Floor: 4, Discovery: gamelan.DiscoveryConfig{NoJoin: true}}
	for _, s := range seeds {
		cfg.Seeds = append(cfg.Seeds, s.Seed())
	}
	return cfg
}

// knows reports whether a node has claims of all of the others.
func knows(n *gamelantest.Node, others ...*gamelantest.Node) bool {
	for _, x := range others {
		if p, ok := n.Peers().Get(x.ID()); x.ID() != n.ID() && (!ok || p.Claim == nil) {
			return false
		}
	}
	return true
}

// knownOf returns how many of the nodes with these numbers a node knows.
func knownOf(n *gamelantest.Node, from, to int) (known int) {
	for number := from; number <= to; number++ {
		if _, ok := n.Peers().Get(gamelantest.Secret(number).NodeID()); ok {
			known++
		}
	}
	return known
}

func unbanned(t *testing.T, nodes ...*gamelantest.Node) {
	t.Helper()
	for _, a := range nodes {
		for p := range a.Peers().All() {
			if !p.BannedUntil.IsZero() {
				t.Errorf("got %v banned by node %d (%s), want nobody banned", p.ID, a.Number, p.BanReason)
			}
		}
	}
}

// seedState returns what a node shows of a seed, nothing if it does not know the seed yet.
func seedState(n *gamelantest.Node, id identity.NodeID) models.NetworkSeed {
	for _, s := range n.DHT().Network().Seeds {
		if s.NodeID == id.String() {
			return s
		}
	}
	return models.NetworkSeed{}
}

func bootstrapped(n *gamelantest.Node) bool {
	phase := n.DHT().Network().Sync.Phase
	return phase != "" && !strings.HasPrefix(phase, "asks the seeds") && !strings.HasPrefix(phase, "looks up")
}

// deadSeed is the text of a seed that does not run.
func deadSeed(number int) string {
	return gamelantest.Secret(number).PublicKey().String() + "::/memory/" + itoa(number)
}

// TestBubbleFindsOthersThroughSeed starts nodes that know one seed, which dials nobody. The
// last of them can only dial out. It finds all others, from peer lists alone.
//
// conforms: dht 118; V 23
func TestBubbleFindsOthersThroughSeed(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		seed := net.Start(gamelan.Config{})
		all := []*gamelantest.Node{seed}
		for range 5 {
			all = append(all, net.Start(finding(seed)))
		}
		gamelantest.Eventually(t, time.Minute, "the seed knows all", func() bool { return knows(seed, all...) })
		cfg := finding(seed)
		cfg.Listen, cfg.PublicAddresses = []string{gamelan.ListenNowhere}, []string{"/memory/999"}
		last := net.Start(cfg)
		gamelantest.Eventually(t, 2*time.Minute, "the last node knows all, and has begun a round", func() bool {
			return knows(last, all...) && last.DHT().Network().Sync.Round > 0
		})
		if s := seedState(last, seed.ID()); !s.Answered || s.Peers < 5 {
			t.Errorf("got %+v of the seed, want it to have answered with 5 peers", s)
		}
		unbanned(t, append(all, last)...)
	})
}

// TestBubbleFirstRound has a node that asks no seed: it has none. It asks another node for its
// peers as soon as the two are connected.
func TestBubbleFirstRound(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		n, other := net.Start(finding()), net.Start(gamelan.Config{})
		net.Connect(n, other)
		gamelantest.Eventually(t, time.Second, "a first round", func() bool { return n.DHT().Network().Sync.Round > 0 })
	})
}

// TestBubbleSeedsThatDoNotAnswer starts nodes whose seeds do not run, all or all but one. The
// nodes start, and say so.
func TestBubbleSeedsThatDoNotAnswer(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		seed := net.Start(gamelan.Config{})
		lonely := net.Start(gamelan.Config{Floor: 1, Seeds: []string{deadSeed(901), deadSeed(902), deadSeed(903)}})
		lucky := net.Start(gamelan.Config{Floor: 1, Seeds: []string{deadSeed(901), deadSeed(902), seed.Seed()}})
		without := net.Start(gamelan.Config{Floor: 1})
		for n, want := range map[*gamelantest.Node]string{lonely: "0 of 3 seeds answered", lucky: "1 of 3 seeds answered"} {
			gamelantest.Eventually(t, 5*time.Minute, "the bootstrap has ended", func() bool { return bootstrapped(n) })
			v := n.DHT().Network()
			if !strings.Contains(v.Summary, want) {
				t.Errorf("got the summary %q, want %q in it", v.Summary, want)
			}
			for _, s := range v.Seeds {
				if dead := s.NodeID != seed.ID().String(); s.AskedAt.IsZero() || dead == s.Answered || dead == (s.Error == "") {
					t.Errorf("got the seed %+v, want it asked, and an error exactly if it is dead", s)
				}
			}
		}
		if v := without.DHT().Network(); !strings.Contains(v.Sync.Phase, "no seed") {
			t.Errorf("got the phase %q, want that no seed is known", v.Sync.Phase)
		}
		unbanned(t, seed, lonely, lucky, without)
	})
}

// TestBubbleSlowSeed asks two seeds, of which one sends an item every four seconds and the
// other answers at once. What the fast one told counts at once, and what the slow one told
// before its time was over counts too.
func TestBubbleSlowSeed(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		slow := startListing(t, net, gamelan.Config{}, func(a *listAnswer) {
			for number := 501; a.item(listed(t, number)) == nil; number++ {
				select {
				case <-time.After(4 * time.Second):
				case <-a.ctx.Done():
					return
				}
			}
		})
		fast := startListing(t, net, gamelan.Config{}, func(a *listAnswer) {
			for number := 601; number <= 605; number++ {
				a.item(listed(t, number))
			}
			a.end(0)
		})
		n := net.Start(finding(slow, fast))
		gamelantest.Eventually(t, 3*time.Second, "the peers of the fast seed", func() bool { return knownOf(n, 601, 605) == 5 })
		if got := knownOf(n, 501, 600); got != 0 {
			t.Errorf("got %d peers of the slow seed, want none yet", got)
		}
		gamelantest.Eventually(t, 70*time.Second, "peers of the slow seed", func() bool { return knownOf(n, 501, 600) > 5 })
		if s := seedState(n, slow.ID()); s.Answered {
			t.Errorf("got the slow seed as %+v, want that it has not answered", s)
		}
		unbanned(t, n)
	})
}

// TestBubbleHostileSeeds asks seeds that break the rules of peer lists. Each is banned and
// hung up, what it told before counts, and an honest seed beside it is used.
//
// conforms: dht 120; V 25
func TestBubbleHostileSeeds(t *testing.T) {
	forged := func(number int) []byte {
		c := claimOf(t, number)
		c.Signature.UpdatedAt++
		info := wire.NewPeerInfo(c.Key, c)
		return info.Append(nil)
	}
	for name, test := range map[string]struct {
		answer listServer
		ban    time.Duration
		stored int
	}{
		"floods": {func(a *listAnswer) {
			for number := 501; a.item(listed(t, number)) == nil; number++ {
			}
		}, 2 * time.Hour, 250},
		"empty": {func(a *listAnswer) { a.item(listed(t, 501)); a.item(nil); a.end(0) }, 2 * time.Hour, 1},
		"twice": {func(a *listAnswer) { a.item(listed(t, 501)); a.item(listed(t, 501)); a.end(0) }, 2 * time.Hour, 1},
		"forges six": {func(a *listAnswer) {
			for number := 502; number <= 507; number++ {
				a.item(forged(number))
			}
			a.item(listed(t, 501))
			a.end(0)
		}, 2 * time.Hour, 0},
		"forges five": {func(a *listAnswer) {
			for number := 502; number <= 506; number++ {
				a.item(forged(number))
			}
			a.item(listed(t, 501))
			a.end(0)
		}, 0, 1},
		"stalls":  {func(a *listAnswer) { a.item(listed(t, 501)); <-a.ctx.Done() }, 0, 1},
		"refuses": {func(a *listAnswer) { a.end(rpc.General) }, 10 * time.Minute, 0},
	} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				net := gamelantest.NewNetwork(t)
				honest := net.Start(gamelan.Config{})
				other := net.Start(gamelan.Config{})
				net.Connect(other, honest)
				bad := startListing(t, net, gamelan.Config{}, test.answer)
				began := time.Now()
				n := net.Start(finding(bad, honest))
				gamelantest.Eventually(t, 6*time.Minute, "the bootstrap has ended", func() bool { return bootstrapped(n) && knows(n, other) })
				if s := seedState(n, honest.ID()); !s.Answered {
					t.Errorf("got the honest seed as %+v, want that it has answered", s)
				}
				if test.ban > 0 {
					gamelantest.Eventually(t, 5*time.Second, "it hung up", func() bool { _, ok := n.Connection(bad.ID()); return !ok })
				}
				until, why, banned := n.Peers().Banned(bad.ID())
				if banned != (test.ban > 0) || banned && (until.Before(began.Add(test.ban)) || until.After(time.Now().Add(test.ban))) {
					t.Errorf("got it banned %v for %v (%s), want %v", banned, until.Sub(began), why, test.ban)
				}
				if _, ok := n.Connection(bad.ID()); ok == banned {
					t.Errorf("got it connected %v and banned %v", ok, banned)
				}
				if got := knownOf(n, 501, 900); got != test.stored {
					t.Errorf("got %d of its peers, want %d", got, test.stored)
				}
				for _, id := range []identity.NodeID{honest.ID(), other.ID()} {
					if _, why, banned := n.Peers().Banned(id); banned {
						t.Errorf("got an honest node banned: %s", why)
					}
				}
			})
		})
	}
}

// TestBubbleIsolatedNodeRecovers has a node whose stored peers are all dead, and whose one
// seed is back after an hour. It is connected again, and knows the seed's peers, three ticks and
// a minute later: failures do not stop the dials of a seed.
//
// conforms: V 27, 30
func TestBubbleIsolatedNodeRecovers(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		seed, other := net.Start(gamelan.Config{}), net.Start(gamelan.Config{})
		net.Connect(other, seed)
		n := net.Start(finding(), kit.Quiet)
		net.Partition(n, seed)
		for number := 501; number <= 560; number++ {
			if err := n.Peers().Add(t.Context(), peerstore.FromClaim(claimOf(t, number), peerstore.AnotherPeer)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := n.Peers().AddSeed(t.Context(), seed.Seed()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		v := n.DHT().Network()
		if v.Sync.StarvedSince.IsZero() || v.Sync.Rebootstraps == 0 || v.Sync.Rebootstraps > 4 {
			t.Errorf("got starved since %v and %d attempts after an hour, want it starved, and attempts that follow the cool-down", v.Sync.StarvedSince, v.Sync.Rebootstraps)
		}
		attempt := func() time.Time {
			p, _ := n.Peers().Get(seed.ID())
			return p.Addresses[0].LastAttempted
		}
		for range 5 {
			before := attempt()
			gamelantest.Eventually(t, 10*time.Minute, "another dial of the seed", func() bool { return attempt() != before })
			if pause := attempt().Sub(before); pause > 2*time.Minute-10*time.Second {
				t.Errorf("got %v between two dials of the seed, want less than two minutes: a seed may be back at any time", pause)
			}
		}
		net.Heal(n, seed)
		gamelantest.Eventually(t, 3*20*time.Second+time.Minute, "connected again, with the seed's peers", func() bool {
			_, ok := n.Connection(seed.ID())
			return ok && knows(n, other)
		})
		unbanned(t, n, seed, other)
	})
}

// TestBubbleInboundDoesNotIsolate surrounds a node with others that have connected to it, so
// that its sets are full. When it knows a seed, whose list comes with the next round, it makes
// connections of its own.
func TestBubbleInboundDoesNotIsolate(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		seed := net.Start(gamelan.Config{})
		for range 3 {
			net.Connect(net.Start(gamelan.Config{}), seed)
		}
		cfg := finding()
		cfg.Floor, cfg.Discovery.Random, cfg.DHT = 3, 2, &gamelan.DHTConfig{Neighbours: 2}
		cfg.Discovery.Idle = time.Minute
		n := net.Start(cfg)
		for range 4 {
			net.Connect(net.Start(gamelan.Config{}), n)
		}
		time.Sleep(10 * time.Minute)
		if s := n.DHT().Network().Sync; !s.StarvedSince.IsZero() || s.Rebootstraps > 0 {
			t.Errorf("got starved since %v while no other node is known", s.StarvedSince)
		}
		if _, err := n.Peers().AddSeed(t.Context(), seed.Seed()); err != nil {
			t.Fatal(err)
		}
		gamelantest.Eventually(t, time.Minute+4*20*time.Second+time.Minute, "two connections of its own", func() bool {
			own := 0
			for _, c := range n.Connections() {
				if c.Direction == protocol.Outbound {
					own++
				}
			}
			return own >= 2
		})
		unbanned(t, n, seed)
	})
}

// TestBubbleSmallNetworkIsNotStarved runs three nodes that are all connected, for a day (8 hours without GAMELAN_LONG), after
// a fourth one has gone. They want more connections than there are nodes.
//
// conforms: V 27
func TestBubbleSmallNetworkIsNotStarved(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		seed := net.Start(finding(), kit.Quiet)
		gone := net.Start(finding(seed))
		all := []*gamelantest.Node{seed, net.Start(finding(seed)), net.Start(finding(seed))}
		gamelantest.Eventually(t, 5*time.Minute, "everybody connected", func() bool {
			return len(all[0].Connections()) == 3 && len(all[1].Connections()) == 3 && len(all[2].Connections()) == 3
		})
		if err := gone.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		hours := 8
		if os.Getenv("GAMELAN_LONG") != "" {
			hours = 24
		}
		time.Sleep(time.Duration(hours) * time.Hour)
		for _, n := range all {
			v := n.DHT().Network()
			if !v.Sync.StarvedSince.IsZero() || v.Sync.Rebootstraps > 0 {
				t.Errorf("node %d: got starved since %v, %d times", n.Number, v.Sync.StarvedSince, v.Sync.Rebootstraps)
			}
			// A rest of 30 minutes between rounds that ask two nodes.
			if served := v.Service.Served; served > uint64(2*2*2*hours+20) {
				t.Errorf("node %d: got %d requests for peers in %d hours", n.Number, served, hours)
			}
			if got := len(n.Connections()); got != 2 {
				t.Errorf("node %d: got %d connections, want 2", n.Number, got)
			}
		}
		unbanned(t, all...)
	})
}

// TestBubbleSync asks for a round on a node that does nothing of its own accord.
//
// conforms: dht 119
func TestBubbleSync(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		n := net.Start(gamelan.Config{})
		if _, err := n.DHT().Sync(t.Context()); !errors.Is(err, discoverypart.ErrNobodyToAsk) {
			t.Errorf("got %v, want that nobody could be asked", err)
		}
		asked := make(chan wire.GetPeers, 10)
		a := startListing(t, net, gamelan.Config{}, func(a *listAnswer) { asked <- a.Request; a.item(listed(t, 501)); a.end(0) })
		b := net.Start(gamelan.Config{})
		net.Connect(n, a)
		net.Introduce(n, b)
		r, err := n.DHT().Sync(t.Context())
		if err != nil || r.Result.Asked != 2 || r.Result.Answered != 2 || r.Result.New != 1 || len(r.Nodes) != 2 {
			t.Fatalf("got %+v, %v, want one peer of two nodes", r, err)
		}
		if got, want := <-asked, (wire.GetPeers{N: 500, IncludeClients: true, MaxClaims: 5, MaxAddressesPerClaim: 5}); got != want {
			t.Errorf("got the request %+v, want %+v", got, want)
		}
		if err := b.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		gamelantest.Eventually(t, 10*time.Second, "the connection ended", func() bool { _, ok := n.Connection(b.ID()); return !ok })
		r, err = n.DHT().Sync(t.Context())
		if err != nil || r.Result.Asked != 3 || r.Result.Answered != 1 {
			t.Errorf("got %+v, %v, want one answer of three: one node is closed, and one never ran", r, err)
		}
		for _, x := range r.Nodes {
			if (x.Err == nil) != (x.Peer == a.ID()) {
				t.Errorf("got %+v", x)
			}
		}
	})
}

// TestBubbleOnConnect has a node that knows enough peers ask each node that connects, once, and
// again after five minutes if that failed.
//
// conforms: dht 119, 123
func TestBubbleOnConnect(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		n := net.Start(gamelan.Config{Floor: 1, Discovery: gamelan.DiscoveryConfig{NoJoin: true, MinPeers: 1}}, kit.Quiet)
		first := net.Start(gamelan.Config{})
		net.Connect(first, n)
		gamelantest.Eventually(t, time.Minute, "a round that brings nobody", func() bool {
			return n.DHT().Network().Sync.Phase == "asks each node that connects"
		})
		var asked atomic.Int32
		var fails atomic.Bool
		fails.Store(true)
		second := startListing(t, net, gamelan.Config{}, func(a *listAnswer) {
			asked.Add(1)
			if want := (wire.GetPeers{N: 100, MaxClaims: 5, MaxAddressesPerClaim: 5}); a.Request != want {
				t.Errorf("got the request %+v, want %+v", a.Request, want)
			}
			if !fails.Load() {
				a.end(0)
			}
		})
		net.Connect(second, n)
		time.Sleep(time.Minute)
		if got := asked.Load(); got != 1 {
			t.Errorf("got %d requests, want one", got)
		}
		fails.Store(false)
		time.Sleep(5 * time.Minute)
		if got := asked.Load(); got != 2 {
			t.Errorf("got %d requests, want the node asked again after a failure", got)
		}
		net.Cut(second, n)
		gamelantest.Eventually(t, time.Minute, "the connection ended", func() bool { _, ok := second.Connection(n.ID()); return !ok })
		net.Connect(second, n)
		time.Sleep(30 * time.Minute)
		if got := asked.Load(); got != 2 {
			t.Errorf("got %d requests, want none within the hour", got)
		}
		net.Connect(net.Start(gamelan.Config{Client: true}), n)
		unbanned(t, n, second)
	})
}

// TestBubbleHangingRound asks two nodes, of which one never answers. The round goes on without
// it and ends within a minute, and the node is not banned.
func TestBubbleHangingRound(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		n := net.Start(gamelan.Config{}, kit.Quiet)
		// An item every four seconds is no stall, and there are 500.
		hangs := startListing(t, net, gamelan.Config{}, func(a *listAnswer) {
			for number := 501; a.item(listed(t, number)) == nil; number++ {
				select {
				case <-time.After(4 * time.Second):
				case <-a.ctx.Done():
					return
				}
			}
		})
		good := startListing(t, net, gamelan.Config{}, func(a *listAnswer) { a.item(listed(t, 601)); a.end(0) })
		net.Connect(n, hangs)
		net.Connect(n, good)
		began := time.Now()
		r, err := n.DHT().Sync(t.Context())
		if took := time.Since(began); err != nil || took > time.Minute || r.Result.Answered != 1 || r.Result.New < 9 {
			t.Errorf("got %+v, %v after %v, want one answer within a minute, and what the other node gave before", r, err, took)
		}
		unbanned(t, n)
	})
}

// TestBubbleListsForSearches reads the lists of connected nodes, at most eight at a time, and
// none again within an hour.
//
// conforms: V 22
func TestBubbleListsForSearches(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		n := net.Start(gamelan.Config{}, kit.Quiet)
		var running, most atomic.Int32
		for i := range 12 {
			node := startListing(t, net, gamelan.Config{}, func(a *listAnswer) {
				now := running.Add(1)
				for was := most.Load(); now > was && !most.CompareAndSwap(was, now); was = most.Load() {
				}
				time.Sleep(2 * time.Second)
				running.Add(-1)
				if !a.Request.IncludeClients || a.Request.N != 500 {
					t.Errorf("got the request %+v, want all peers", a.Request)
				}
				if i == 0 { // never
					<-a.ctx.Done()
					return
				}
				a.item(listed(t, 501+i))
				a.end(0)
			})
			net.Connect(n, node)
		}
		list := func() (discoverypart.PeersListed, time.Duration) {
			t.Helper()
			began := time.Now()
			trunk := nodetest.Trunk(n)
			r, err := supervisor.Ask[discoverypart.PeersListed](t.Context(), trunk.System(), trunk.PID("discovery/netsync"), discoverypart.ListPeers{})
			if err != nil {
				t.Fatal(err)
			}
			return r, time.Since(began)
		}
		r, took := list()
		if r.Asked != 12 || most.Load() != 8 || took > 10*time.Second || knownOf(n, 501, 512) != 11 {
			t.Errorf("got %d asked, %d at a time, in %v, and %d peers; want 12, 8, 10 s and 11", r.Asked, most.Load(), took, knownOf(n, 501, 512))
		}
		if r, took := list(); r.Asked != 0 || took > time.Second {
			t.Errorf("got %d asked in %v, want none at once", r.Asked, took)
		}
		time.Sleep(5 * time.Minute)
		if r, _ := list(); r.Asked != 1 {
			t.Errorf("got %d asked after five minutes, want the one that failed", r.Asked)
		}
		time.Sleep(time.Hour)
		if r, _ := list(); r.Asked != 12 {
			t.Errorf("got %d asked after an hour, want all", r.Asked)
		}
		unbanned(t, n)
	})
}

// TestBubbleSearchWithoutRelays searches for nodes in a network that relays nothing: the list
// of the node between them tells of one, a client, and nobody of the other.
//
// conforms: V 22
func TestBubbleSearchWithoutRelays(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		between := net.Start(gamelan.Config{DHT: &gamelan.DHTConfig{NoForwarding: true}})
		n, wanted := net.Start(gamelan.Config{}), net.Start(gamelan.Config{Client: true})
		net.Connect(n, between)
		net.Connect(wanted, between)
		if p, err := n.DHT().Discover(t.Context(), wanted.PublicKey()); err != nil || p.Claim == nil {
			t.Errorf("got %v, %v, want the node that the list names", p.ID, err)
		}
		if _, err := n.DHT().Discover(t.Context(), gamelantest.Secret(901).PublicKey()); !errors.Is(err, discovery.ErrNotFound) {
			t.Errorf("got %v, want that nobody was found", err)
		}
		unbanned(t, n, between, wanted)
	})
}

// names is a transport that looks up names.
type names struct {
	*memory.Transport
	records map[string][]string
}

func (n *names) LookupTXT(ctx context.Context, name string) ([]string, error) {
	if list, ok := n.records[name]; ok {
		return list, nil
	}
	return nil, errors.New("no such host")
}

// TestBubbleSeedNames has DNS name the seeds, beside records that name none. When the node is
// starved, the names are looked up again, and a seed that has moved replaces the old one.
//
// conforms: V 27
func TestBubbleSeedNames(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		seed, moved, other := net.Start(gamelan.Config{}), net.Start(gamelan.Config{}), net.Start(gamelan.Config{})
		net.Connect(other, moved)
		dns := &names{net.Transport(), map[string][]string{"seeds.example": {seed.Seed(), "v=spf1 -all", "", deadSeed(901)}}}
		cfg := finding()
		cfg.Discovery.SeedNames = []string{"none.example", "seeds.example"}
		cfg.Listen, cfg.Secret = []string{"/memory/99"}, gamelantest.Secret(99)
		node, err := gamelan.Start(t.Context(), cfg, gamelan.WithSystem(net.System), gamelan.WithTransport(dns), kit.Quiet)
		if err != nil {
			t.Fatal(err)
		}
		defer node.Close(context.Background())
		n := &gamelantest.Node{Node: node}
		gamelantest.Eventually(t, 3*time.Minute, "the seeds asked", func() bool { return bootstrapped(n) })
		v := n.DHT().Network()
		if len(v.Seeds) != 2 || v.SeedNames.BadRecords != 2 || !strings.Contains(v.SeedNames.Error, "none.example") {
			t.Errorf("got %d seeds, %d bad records and %q, want 2, 2 and the name that there is not", len(v.Seeds), v.SeedNames.BadRecords, v.SeedNames.Error)
		}
		if s := seedState(n, seed.ID()); !s.Answered {
			t.Errorf("got the seed as %+v, want that it has answered", s)
		}
		dns.records["seeds.example"] = []string{moved.Seed()}
		if err := seed.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		gamelantest.Eventually(t, 3*time.Minute, "connected through the new seed", func() bool { return knows(n, moved, other) })
		if v := n.DHT().Network(); len(v.Seeds) != 1 || v.Seeds[0].NodeID != moved.ID().String() {
			t.Errorf("got the seeds %+v, want the one that DNS names now", v.Seeds)
		}
	})
}

// TestBubbleSeedIsHungUp has a node dial enough others to reach its floor without its seed: the
// seed is hung up, and not while it is needed.
func TestBubbleSeedIsHungUp(t *testing.T) {
	for name, test := range map[string]struct {
		others, floor int
		protect       bool
		want          bool // still connected
	}{
		"enough others": {others: 5, floor: 5},
		"too few":       {others: 5, floor: 6, want: true},
		"protected":     {others: 5, floor: 5, protect: true, want: true},
	} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				net := gamelantest.NewNetwork(t)
				seed := net.Start(gamelan.Config{})
				cfg := finding(seed)
				cfg.Floor, cfg.Discovery.Random, cfg.DHT = test.floor, 1, &gamelan.DHTConfig{Neighbours: 1}
				n := net.Start(cfg)
				if test.protect {
					n.Protect(seed.ID(), "test")
				}
				gamelantest.Eventually(t, time.Minute, "the seed asked", func() bool { return bootstrapped(n) })
				first, ok := n.Connection(seed.ID())
				if !ok {
					t.Fatal("the seed was hung up although nobody else is connected")
				}
				for range test.others {
					net.Connect(n, net.Start(gamelan.Config{}))
				}
				time.Sleep(15 * time.Minute)
				kept := nodetest.Trunk(n).KeepOpenTags(seed.ID()) // by chance a member of a set
				last, ok := n.Connection(seed.ID())
				if ok && last.ID != first.ID {
					t.Errorf("got another connection of the seed, want it not hung up and dialled again")
				}
				if ok != (test.want || len(kept) > 0) {
					t.Errorf("got the seed connected %v and kept by %v, want it connected %v", ok, kept, test.want)
				}
			})
		})
	}
}

// TestBubbleNetsyncRestarts kills the actor while seeds are asked. It asks the one again whose
// answer was lost, and keeps the result of the other.
func TestBubbleNetsyncRestarts(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		fast := net.Start(gamelan.Config{})
		var asked atomic.Int32
		slow := startListing(t, net, gamelan.Config{}, func(a *listAnswer) {
			asked.Add(1)
			time.Sleep(4 * time.Second)
			a.item(listed(t, 501))
			a.end(0)
		})
		n := net.Start(finding(fast, slow), kit.Quiet)
		gamelantest.Eventually(t, 3*time.Second, "one answer", func() bool { return seedState(n, fast.ID()).Answered && asked.Load() == 1 })
		if !gamelantest.Crash(n.Node, "discovery/netsync", "on purpose") {
			t.Fatal("there is no actor to crash")
		}
		gamelantest.Healed(t, n.Node)
		gamelantest.Eventually(t, time.Minute, "the answer of the other seed", func() bool { return knownOf(n, 501, 501) == 1 })
		if !seedState(n, fast.ID()).Answered || asked.Load() != 2 {
			t.Errorf("got the fast seed as %+v and the slow one asked %d times, want the answer kept, and twice", seedState(n, fast.ID()), asked.Load())
		}
		unbanned(t, n)
	})
}

// TestBubbleRoundLost: who waits for a round gets an error when the actor is restarted, and
// is not left waiting when the node closes.
func TestBubbleRoundLost(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a := net.Start(gamelan.Config{}, kit.Quiet)
		b := net.Start(gamelan.Config{}, kit.Quiet)
		net.Connect(a, b)
		net.Partition(a, b)
		lost := func(when string, end func()) (err error) {
			t.Helper()
			done := make(chan error, 1)
			go func() { _, err := a.DHT().Sync(context.Background()); done <- err }()
			synctest.Wait()
			end()
			select {
			case err = <-done:
			case <-time.After(time.Hour):
				t.Fatalf("%s: the request still waits", when)
			}
			return err
		}
		err := lost("restart", func() { gamelantest.Crash(a.Node, "discovery/netsync", "killed by the test") })
		if !errors.Is(err, discoverypart.ErrRoundLost) {
			t.Errorf("restart: got %v, want the round lost", err)
		}
		lost("close", func() { _ = a.Close(context.Background()) })
	})
}

// TestBubbleSeedsShown: a node that asks nobody of its own accord shows its seeds as well, also
// before it was told to ask them.
func TestBubbleSeedsShown(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		for name, cfg := range map[string]gamelan.Config{
			"floor 0": {Floor: gamelan.NoFloor, Seeds: []string{deadSeed(901)}},
			"no sync": {Floor: 1, Seeds: []string{deadSeed(901)}, Discovery: gamelan.DiscoveryConfig{NoSync: true}},
		} {
			n := net.Start(cfg)
			time.Sleep(time.Minute)
			if v := n.DHT().Network(); len(v.Seeds) != 1 {
				t.Errorf("%s: got the seeds %+v, want one", name, v.Seeds)
			}
		}
	})
}
