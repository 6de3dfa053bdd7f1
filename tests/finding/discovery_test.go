package finding

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/discoverypart"
	"github.com/gamelan-p2p/gamelan/internal/dht/discovery"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// wantKnows checks that a node has the record of another, with its features and an
// address.
func wantKnows(t *testing.T, who string, m kit.Member, key identity.PublicKey, features identity.Features) {
	t.Helper()
	p, ok := m.Peers().Get(key.NodeID())
	if !ok || len(p.Addresses) == 0 || p.Features != features || p.Claim == nil {
		t.Errorf("%s: got %v, %+v, want the peer with %v, an address and its claim", who, ok, p, features)
	}
}

// TestBubbleJoinPropagation: A, connected to B, which is connected to C, joins; both learn
// where A is.
//
// conforms: dht 81, 141
func TestBubbleJoinPropagation(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		all := kit.Members(net, 3)
		a, b, c := all[0], all[1], all[2]
		net.Connect(a.Node, b.Node)
		net.Connect(b.Node, c.Node)
		r, err := a.DHT().Join(t.Context())
		if err != nil || r.Count(protocol.Confirmed) != 1 {
			t.Fatalf("got %v, %v, want one copy confirmed", r.String(), err)
		}
		time.Sleep(time.Second)
		wantKnows(t, "b", b, a.PublicKey(), identity.FeatureNode)
		wantKnows(t, "c", c, a.PublicKey(), identity.FeatureNode)
		if v := b.DHT().Network().Join; v.Heard != 1 || v.Stored != 1 || v.Relayed != 1 || len(v.Refused) != 0 {
			t.Errorf("b: got %+v, want one Join heard, stored and relayed", v)
		}
		if v := c.DHT().Network().Join; v.Heard != 1 || v.Stored != 1 || len(v.Refused) != 0 {
			t.Errorf("c: got %+v, want one Join heard and stored", v)
		}
		if v := a.DHT().Network().Join; v.Heard != 0 || v.Nodes != 1 || v.Confirmed != 1 || v.LastAt.IsZero() {
			t.Errorf("a: got %+v, want one Join sent to one node, and none heard", v)
		}
	})
}

// TestBubbleDiscoverPropagation: A finds D, a client that only C is connected to, two hops
// away, and D learns where A is. One response answers all who wait for D.
//
// conforms: dht 82, 84, 90, 141
func TestBubbleDiscoverPropagation(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		all := kit.Members(net, 3)
		a, b, c := all[0], all[1], all[2]
		d := kit.StartMember(net, gamelan.Config{Client: true})
		net.Connect(a.Node, b.Node)
		net.Connect(b.Node, c.Node)
		net.Connect(d.Node, c.Node)
		begin := time.Now()
		errs := make(chan error, 3)
		for range 3 {
			go func() {
				_, err := a.DHT().Discover(t.Context(), d.PublicKey())
				errs <- err
			}()
		}
		for range 3 {
			if err := <-errs; err != nil {
				t.Fatalf("got %v after %s, want d", err, time.Since(begin))
			}
		}
		wantKnows(t, "a", a, d.PublicKey(), identity.FeatureNone)
		wantKnows(t, "d", d, a.PublicKey(), identity.FeatureNode)
		if v := a.DHT().Network().Searches; v.Found != 1 || v.Failed != 0 || len(v.Running) != 0 {
			t.Errorf("a: got %+v, want one search, found", v)
		}
		synctest.Wait() // d's dial ends the search before its answer does
		if v := d.DHT().Network().Searches; v.Answered != 1 {
			t.Errorf("d: got %+v, want one Discovery answered", v)
		}
		begin = time.Now()
		if _, err := a.DHT().Discover(t.Context(), d.PublicKey()); err != nil || time.Since(begin) > 0 {
			t.Errorf("again: got %v after %s, want the known peer at once", err, time.Since(begin))
		}
	})
}

// overheard has the last message of a type that reached a node.
type overheard struct {
	mu sync.Mutex
	b  []byte
}

// of returns an option by which a node's messages of a type are kept.
func (o *overheard) of(typ wire.MessageType) gamelan.Option {
	return gamelan.WithLayer(dht.BeforeVerify, func(next dht.Handler) dht.Handler {
		return func(m *dht.Incoming) dht.Verdict {
			if m.Envelope.Header.Type == typ {
				o.mu.Lock()
				o.b = m.Envelope.Append(nil)
				o.mu.Unlock()
			}
			return next(m)
		}
	})
}

// last returns the message.
func (o *overheard) last(t *testing.T) wire.Envelope {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	e, err := wire.DecodeEnvelope(o.b)
	if err != nil {
		t.Fatalf("no message was heard: %v", err)
	}
	return e
}

// TestBubbleJoinUnchanged: a Join that its author has not encoded as we would, with an
// unknown field in its body, is relayed byte for byte, so that the next node still verifies
// it.
//
// conforms: dht 81, 147
func TestBubbleJoinUnchanged(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		var joins overheard
		a := net.Start(gamelan.Config{Secret: kit.Sends}, kit.Quiet)
		b := kit.StartMember(net, gamelan.Config{})
		c := kit.StartMember(net, gamelan.Config{}, joins.of(wire.TypeJoin))
		net.Connect(a, b.Node)
		net.Connect(b.Node, c.Node)
		e := kit.Announced{Typ: wire.TypeJoin}.Compose(t, identity.PublicKey{})
		unknown := protowire.AppendBytes(protowire.AppendTag(nil, 99, protowire.BytesType), []byte("of a later version"))
		e.Body = append(unknown, e.Body...)
		kit.Sign(t, &e, kit.Sends)
		kit.Post(t, a, b.Node, e)
		time.Sleep(time.Second)
		if got := joins.last(t).Body; !bytes.Equal(got, e.Body) {
			t.Errorf("c got a body of %d bytes, want the %d bytes that the author has signed", len(got), len(e.Body))
		}
		wantKnows(t, "c", c, a.PublicKey(), identity.FeatureNode)
		if _, reason, banned := c.Peers().Banned(b.ID()); banned {
			t.Errorf("c has banned the relay: %s", reason)
		}
	})
}

// TestBubbleLargeJoin: a Join with 28,800 addresses gets its author banned, and goes no
// further.
//
// conforms: dht 141
// conforms: V 20
func TestBubbleLargeJoin(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a := net.Start(gamelan.Config{Secret: kit.Sends}, kit.Quiet)
		b := kit.StartMember(net, gamelan.Config{}, kit.Quiet)
		c, toC := kit.Sniffed(net)
		net.Connect(a, b.Node)
		net.Connect(b.Node, c.Node)
		e := kit.Announced{Typ: wire.TypeJoin, Edit: func(j *wire.Announcement) {
			j.Addresses = slices.Repeat(kit.Binaries(t, "/ip6/2001:4860:4860::8888/tcp/18189"), 28_800)
		}}.Compose(t, identity.PublicKey{})
		if n := len(e.Body); n < 600<<10 {
			t.Fatalf("got a Join of %d bytes, want a large one", n)
		}
		kit.Post(t, a, b.Node, e)
		time.Sleep(2 * time.Second)
		if until, reason, banned := b.Peers().Banned(a.ID()); !banned || time.Until(until) < protocol.BanLong-time.Minute {
			t.Errorf("got banned %v until %v (%s), want for two hours", banned, until, reason)
		}
		if n := toC.Total(); n != 0 {
			t.Errorf("c got %d messages, want none", n)
		}
		if _, ok := c.Peers().Get(a.ID()); ok {
			t.Error("c knows a")
		}
	})
}

// TestBubbleReplayedAnnouncements: a Join and a Discovery that somebody repeats have no
// second effect, and bring nobody a ban.
//
// conforms: dht 84
func TestBubbleReplayedAnnouncements(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		b := kit.StartMember(net, gamelan.Config{}, kit.Quiet)
		honest, toHonest := sniffedAs(net, kit.Sends)
		c, toC := kit.Sniffed(net)
		repeats := net.Start(gamelan.Config{}, kit.Quiet)
		net.Connect(honest, b.Node)
		net.Connect(b.Node, c.Node)
		net.Connect(repeats, b.Node)
		join := kit.Announced{Typ: wire.TypeJoin}.Compose(t, b.PublicKey())
		question := kit.Announced{Typ: wire.TypeDiscovery, Nonce: 7}.Compose(t, b.PublicKey())
		for range 3 {
			for _, from := range []*gamelantest.Node{honest, repeats} {
				kit.Post(t, from, b.Node, join)
				kit.Post(t, from, b.Node, question)
				time.Sleep(10 * time.Second)
			}
		}
		if n := toC.Total(); n != 1 {
			t.Errorf("c got %d Joins, want one", n)
		}
		if n := toHonest.Total(); n != 1 {
			t.Errorf("the author of the Discovery got %d answers, want one", n)
		}
		for _, n := range []*gamelantest.Node{honest, repeats, c.Node} {
			if _, reason, banned := b.Peers().Banned(n.ID()); banned {
				t.Errorf("node %d is banned: %s", n.Number, reason)
			}
		}
	})
}

// TestBubbleStolenResponse: somebody hears the answer to a Discovery and relays it. The
// peer that wrote it is not banned, whether the receiver searches for it or not.
//
// conforms: dht 89
func TestBubbleStolenResponse(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		var responses overheard
		victim := kit.StartMember(net, gamelan.Config{}, kit.Quiet)
		author := kit.StartMember(net, gamelan.Config{}, kit.Quiet)
		thief := net.Start(gamelan.Config{Secret: kit.Sends}, kit.Quiet, responses.of(wire.TypeDiscoveryResponse))
		net.Connect(thief, author.Node)
		net.Connect(thief, victim.Node)
		net.Introduce(victim.Node, author.Node)
		kit.Post(t, thief, author.Node, kit.Announced{Typ: wire.TypeDiscovery, Nonce: 7}.Compose(t, author.PublicKey()))
		time.Sleep(time.Second)
		kit.Post(t, thief, victim.Node, responses.last(t))
		time.Sleep(time.Second)
		if _, reason, banned := victim.Peers().Banned(author.ID()); banned {
			t.Errorf("the author is banned: %s", reason)
		}
		if until, _, banned := victim.Peers().Banned(thief.ID()); !banned || time.Until(until) < protocol.BanLong-time.Minute {
			t.Errorf("got the thief banned %v until %v, want for two hours", banned, until)
		}
	})
}

// TestBubbleSearchFails: a search ends at once if there is nobody to ask, else when its
// time is over; one who gives up is forgotten.
//
// conforms: dht 83
func TestBubbleSearchFails(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a := kit.StartMember(net, gamelan.Config{})
		b := kit.StartMember(net, gamelan.Config{})
		nobody := gamelantest.Secret(99).PublicKey()
		begin := time.Now()
		_, err := a.DHT().Discover(t.Context(), nobody)
		if took := time.Since(begin); !errors.Is(err, discovery.ErrNobodyToAsk) || took > discovery.ListsTimeout {
			t.Errorf("without a connection: got %v after %s, want nobody to ask", err, took)
		}
		if _, err := a.DHT().Discover(t.Context(), a.PublicKey()); !errors.Is(err, dht.ErrSelf) {
			t.Errorf("for itself: got %v", err)
		}
		net.Connect(a.Node, b.Node)
		begin = time.Now()
		type result struct {
			err  error
			took time.Duration
		}
		results := make(chan result, 3)
		for _, limit := range []time.Duration{30 * time.Second, time.Hour, time.Hour} {
			go func() {
				ctx, cancel := context.WithTimeout(t.Context(), limit)
				defer cancel()
				_, err := a.DHT().Discover(ctx, nobody)
				results <- result{err, time.Since(begin)}
			}()
		}
		first := <-results
		if first.took > 30*time.Second || first.err == nil {
			t.Errorf("who waits for 30 s: got %v after %s", first.err, first.took)
		}
		synctest.Wait()
		if v := a.DHT().Network().Searches; len(v.Running) != 1 || v.Running[0].Waiters != 2 || v.Running[0].Stage != "asking the network" {
			t.Errorf("got %+v, want one search with two waiters", v.Running)
		}
		for range 2 {
			if r := <-results; !errors.Is(r.err, discovery.ErrNotFound) || r.took > 121*time.Second || r.took < 119*time.Second {
				t.Errorf("got %v after %s, want nobody to have answered within 120 s", r.err, r.took)
			}
		}
		if v := a.DHT().Network().Searches; len(v.Running) != 0 {
			t.Errorf("got %+v, want no search left", v.Running)
		}
		if _, reason, banned := a.Peers().Banned(b.ID()); banned {
			t.Errorf("b is banned for a search that nobody answered: %s", reason)
		}
	})
}

// TestBubbleSearchBanned: a known peer that is banned is an error of its own.
func TestBubbleSearchBanned(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		all := kit.Members(net, 2)
		a, b := all[0], all[1]
		net.Introduce(a.Node, b.Node)
		if err := a.Peers().Ban(t.Context(), b.ID(), time.Hour, "test"); err != nil {
			t.Fatal(err)
		}
		if _, err := a.DHT().Discover(t.Context(), b.PublicKey()); !errors.Is(err, discovery.ErrBannedPeer) {
			t.Errorf("got %v, want it banned", err)
		}
	})
}

// TestBubbleSendToUnknown: a message to an unknown key finds its peer first.
//
// conforms: dht 64
func TestBubbleSendToUnknown(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		all := kit.Members(net, 3)
		a, b, c := all[0], all[1], all[2]
		net.Connect(a.Node, b.Node)
		net.Connect(b.Node, c.Node)
		m := kit.LetterTo(dht.DirectKey{Key: c.PublicKey(), Discover: true}, "to a stranger")
		m.Encrypt = true
		kit.WantAllConfirmed(t, "to an unknown key", kit.Send(t, a, m), 1)
		synctest.Wait()
		if got := c.Heard.Delivered(); len(got) != 1 || got[0].From != a.PublicKey() || got[0].Peer != a.ID() {
			t.Errorf("c heard %+v, want the message, directly from a", got)
		}
	})
}

// TestBubbleAutomaticJoin: a node joins when it gets online, and not again within ten
// minutes, whatever its connections and its actor do.
//
// conforms: dht 128
func TestBubbleAutomaticJoin(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		b := kit.StartMember(net, gamelan.Config{}, kit.Quiet)
		heard := func() uint64 {
			synctest.Wait()
			return b.DHT().Network().Join.Heard
		}
		cfg := gamelan.Config{Floor: 1, Discovery: gamelan.DiscoveryConfig{NoSync: true}}
		a := kit.StartMember(net, cfg, kit.Quiet)
		cfg.Discovery.NoJoin = true
		silent := kit.StartMember(net, cfg, kit.Quiet)
		net.Connect(silent.Node, b.Node)
		net.Connect(a.Node, b.Node)
		time.Sleep(time.Second)
		if n := heard(); n != 1 {
			t.Fatalf("got %d Joins, want one, of the node that may", n)
		}
		if err := silent.Close(t.Context()); err != nil { // or a would stay online through it
			t.Fatal(err)
		}
		begin := a.DHT().Network().Join.LastAt
		for time.Since(begin) < 8*time.Minute {
			net.Cut(a.Node, b.Node)
			time.Sleep(time.Minute)
			if !gamelantest.Crash(a.Node.Node, "discovery/join", "killed by the test") {
				t.Fatal("there is no actor join")
			}
			gamelantest.Healed(t, a.Node.Node)
		}
		if n := heard(); n != 1 {
			t.Errorf("got %d Joins within %s, want one", n, time.Since(begin))
		}
		if j := a.DHT().Network().Join; j.Confirmed != 1 || j.Error != "" {
			t.Errorf("got %+v, want the Join that b has, without an error", j)
		}
		if next := a.DHT().Network().Join.NextAt; next.Sub(begin) != 10*time.Minute {
			t.Errorf("got the next Join after %s, want ten minutes after the last", next.Sub(begin))
		}
		time.Sleep(3 * time.Minute)
		net.Cut(a.Node, b.Node)
		time.Sleep(time.Minute)
		if n := heard(); n != 2 {
			t.Errorf("got %d Joins when it was online again after the pause, want two", n)
		}
	})
}

// TestBubbleExcludedJoin: a node whose addresses nobody may dial does not announce them.
//
// conforms: dht 77
func TestBubbleExcludedJoin(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		b := kit.StartMember(net, gamelan.Config{})
		a := kit.StartMember(net, gamelan.Config{ExcludeDial: []string{"/memory/2"}})
		net.Connect(a.Node, b.Node)
		if r, err := a.DHT().Join(t.Context()); !errors.Is(err, discovery.ErrUnreachable) {
			t.Errorf("got %v, %v, want the Join refused", r.String(), err)
		}
		time.Sleep(time.Second)
		if v := b.DHT().Network().Join; v.Heard != 0 {
			t.Errorf("b: got %+v, want no Join heard", v)
		}
	})
}

// TestBubbleDiscoveryRestarts: requests under way when their actor is restarted get an
// error, and new ones work.
func TestBubbleDiscoveryRestarts(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a := kit.StartMember(net, gamelan.Config{}, kit.Quiet)
		b := kit.StartMember(net, gamelan.Config{}, kit.Quiet)
		net.Connect(a.Node, b.Node)
		net.Partition(a.Node, b.Node)
		errs := make(chan error, 2)
		go func() { _, err := a.DHT().Discover(t.Context(), gamelantest.Secret(99).PublicKey()); errs <- err }()
		synctest.Wait()
		gamelantest.Crash(a.Node.Node, "discovery/search", "killed by the test")
		if err := <-errs; !errors.Is(err, discoverypart.ErrSearchLost) {
			t.Errorf("search: got %v, want it lost", err)
		}
		go func() { _, err := a.DHT().Join(t.Context()); errs <- err }()
		synctest.Wait()
		gamelantest.Crash(a.Node.Node, "discovery/join", "killed by the test")
		if err := <-errs; !errors.Is(err, discoverypart.ErrJoinLost) {
			t.Errorf("join: got %v, want it lost", err)
		}
		net.Heal(a.Node, b.Node)
		gamelantest.Healed(t, a.Node.Node)
		time.Sleep(time.Minute)
		if _, err := a.DHT().Discover(t.Context(), b.PublicKey()); err != nil {
			t.Errorf("search after the restart: %v", err)
		}
		if _, err := a.DHT().Join(t.Context()); err != nil {
			t.Errorf("join after the restart: %v", err)
		}
		if v := a.DHT().Network().Searches; v.Failed != 1 {
			t.Errorf("got %+v, want the lost search counted", v)
		}
	})
}

// TestBubbleTooManyJoins: a node looks at 1,000 Joins of one source in a minute. More are
// dropped and counted, and nobody is banned for them yet.
func TestBubbleTooManyJoins(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a := net.Start(gamelan.Config{Secret: kit.Sends}, kit.Quiet)
		b := kit.StartMember(net, gamelan.Config{}, kit.Quiet)
		net.Connect(a, b.Node)
		const more = 50
		for i := range discovery.JoinLimit + more {
			kit.Post(t, a, b.Node, kit.Announced{Typ: wire.TypeJoin, By: kit.Third, Nonce: uint64(i)}.Compose(t, b.PublicKey()))
			if i%300 == 299 { // fewer than dht.ControlsPerSecond
				time.Sleep(time.Second)
			}
		}
		time.Sleep(time.Second)
		v := b.DHT().Network().Join
		if v.Heard != discovery.JoinLimit+more || v.Stored != discovery.JoinLimit || v.Refused["too often"] != more {
			t.Errorf("got %+v, want %d stored, and %d refused", v, discovery.JoinLimit, more)
		}
		if _, reason, banned := b.Peers().Banned(a.ID()); banned {
			t.Errorf("the source is banned: %s", reason)
		}
		kit.WantNoCredit(t, b.Node)
	})
}

// TestBubbleSearchForAConnectedPeer has a node connected to a peer that its peer store has no
// room for: a search for the peer ends at once.
func TestBubbleSearchForAConnectedPeer(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		cfg := gamelan.Config{MaxPeers: 3}
		for number := range cfg.MaxPeers {
			cfg.Seeds = append(cfg.Seeds, deadSeed(901+number))
		}
		n, peer := net.Start(cfg), net.Start(gamelan.Config{})
		net.Connect(peer, n)
		if _, ok := n.Peers().Get(peer.ID()); ok {
			t.Fatal("the full store has taken the peer: the test does not test")
		}
		began := time.Now()
		p, err := n.DHT().Discover(t.Context(), peer.PublicKey())
		if err != nil || p.ID != peer.ID() || p.Key != peer.PublicKey() {
			t.Errorf("got %v, %v, want the connected peer", p, err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("got the answer after %v, want it at once", took)
		}
	})
}
