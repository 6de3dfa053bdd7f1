package interop

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/dht/discovery"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/peerstore"
)

// startSeeker starts a node of ours that gives up a search after so long.
func startSeeker(t *testing.T, limit time.Duration) *member {
	t.Helper()
	m := &member{heard: gamelantest.NewCollector(), seen: new(frames)}
	m.ours = startOurs(t, gamelan.Config{
		Floor: gamelan.NoFloor, DHT: &gamelan.DHTConfig{}, PlainID: "t/plain/1",
		Discovery: gamelan.DiscoveryConfig{SearchLimit: limit},
	}, gamelan.WithType(domainType, m.heard.New), gamelan.WithLayer(dht.BeforeVerify, m.seen.layer))
	return m
}

// found is what a Tari node answers to dht_find.
type found struct {
	NodeID    string `json:"node_id"`
	Addresses []string
}

func (p *tari) find(key identity.PublicKey) (f found, err error) {
	err = p.ask("dht_find", args{"peer": key.String()}, &f)
	return f, err
}

// mustFind is find for who can be found at this address.
func (p *tari) mustFind(key identity.PublicKey, addr string) {
	p.t.Helper()
	f, err := p.find(key)
	if err != nil || f.NodeID != key.NodeID().String() || !slices.Contains(f.Addresses, addr) {
		p.t.Errorf("Tari node %s looks for %s: got %+v, %v, want it at %s", p.release, key, f, err, addr)
	}
}

// mustFind searches for somebody unknown who can be found at this address.
func (m *member) mustFind(key identity.PublicKey, addr string) peerstore.Peer {
	m.t.Helper()
	if known, ok := m.Peers().Get(key.NodeID()); ok {
		m.t.Fatalf("got %+v before the search, want it unknown", known)
	}
	peer, err := m.DHT().Discover(m.t.Context(), key)
	if err != nil || !slices.ContainsFunc(peer.Addresses, func(a peerstore.Address) bool { return a.Addr.String() == addr }) {
		m.t.Fatalf("we look for %s: got %+v, %v, want it at %s", key, peer, err, addr)
	}
	return peer
}

// A Tari node finds us, a neighbour of its own and one behind us, and so does it find a
// client: we answer the first, and relay the others. Each answers by dialling whoever
// asked.
//
// conforms: dht 84, 91
// feature: DHT: they find us, and others through us
func TestTheyDiscover(t *testing.T) {
	t.Parallel()
	against(t, func(t *testing.T, release string) {
		t.Parallel()
		m, d, p, q, r, client := startStar(t, release)
		defer wantNoBans(t, []*member{m, d}, []*tari{p, q, r, client})
		p.mustFind(m.PublicKey(), m.addr())
		for _, one := range []*tari{q, r, client} {
			p.mustFind(one.key, one.addr)
			if !one.linkedTo(p.id) {
				t.Errorf("a Tari node %s that was found: got no connection with who asked, want one for the answer", one.release)
			}
		}
		p.mustFind(d.PublicKey(), d.addr())
		if _, ok := d.Connection(p.id); !ok {
			t.Error("our node that was found: got no connection with who asked, want one for the answer")
		}
	})
}

// We find a Tari node, a client and a node of ours behind a Tari node that passes Discoveries
// on but gives no list of them, because it has not dialled them itself. The answer is a
// message of the peer that we look for, which dials us.
//
// conforms: dht 82, 84
// feature: DHT: we find their nodes and ours through theirs
// note: 6.2.0: relays nothing unless it is told to
func TestWeDiscover(t *testing.T) {
	t.Parallel()
	against(t, func(t *testing.T, release string) {
		t.Parallel()
		a, d := startMember(t, gamelan.DHTConfig{}), startMember(t, gamelan.DHTConfig{})
		p := startTariDHT(t, release, forwards(release)...)
		q, r := startTariDHT(t, release), startTariDHT(t, otherThan(release))
		client := startTariDHT(t, release, "--features", "0")
		reach(t, a, p, weDial) // a – p – q, r, client, d
		for _, one := range []*tari{q, r, client} {
			meet(t, one, p)
		}
		reach(t, d, p, weDial)
		defer wantNoBans(t, []*member{a, d}, []*tari{p, q, r, client})
		for _, one := range []*tari{q, r, client} {
			peer := a.mustFind(one.key, one.addr)
			if want := identity.FeatureNode; one != client && peer.Features != want || one == client && peer.Features.IsNode() {
				t.Errorf("got %s with features %v", one.release, peer.Features)
			}
			if _, ok := a.Connection(one.id); !ok {
				t.Errorf("a Tari node %s that was found: got no connection with it, want the one by which it has answered", one.release)
			}
		}
		a.mustFind(d.PublicKey(), d.addr())
		if _, ok := a.Connection(d.ID()); !ok {
			t.Error("our node that was found: got no connection with it, want the one by which it has answered")
		}
	})
}

// A message for a key that is unknown is sent when its holder is found, both ways, over
// nodes of both kinds.
//
// feature: DHT: a message for somebody unknown, who is searched for first, both ways
// note: 6.2.0: relays nothing unless it is told to
func TestDiscoverOnSend(t *testing.T) {
	t.Parallel()
	against(t, func(t *testing.T, release string) {
		t.Parallel()
		a, m := startMember(t, gamelan.DHTConfig{}), startMember(t, gamelan.DHTConfig{})
		p, q := startTariDHT(t, release, forwards(release)...), startTariDHT(t, release)
		reach(t, a, p, weDial) // a – p – q; p – m
		meet(t, q, p)
		reach(t, m, p, weDial)
		defer wantNoBans(t, []*member{a, m}, []*tari{p, q})
		a.mustSend(dht.Message{To: dht.DirectKey{Key: q.key, Discover: true}, Body: []byte("to q")}, 1)
		if got := q.delivery("to q"); got.Source != a.ID() {
			t.Errorf("got %+v, want it from us", got)
		}
		key := m.PublicKey()
		q.mustPost(letter{to: "key", key: &key, discovery: true, messageType: domainType}, "to m")
		if got := m.delivery("to m"); got.Peer != q.id {
			t.Errorf("got %+v, want it from %s", got, q.id.Short())
		}
	})
}

// A search for a node that nobody knows fails when its time is over, whichever kind of node
// searches and whichever kind passes the search on. Without a connection it fails at once.
// Nobody is banned for it.
//
// conforms: dht 83; V 22
// feature: DHT: a search without an answer, both ways
// note: 6.2.0: relays nothing unless it is told to
func TestDiscoverNobody(t *testing.T) {
	t.Parallel()
	against(t, func(t *testing.T, release string) {
		t.Parallel()
		const limit = 3 * time.Second
		nobody := newSecret(t).PublicKey()
		m := startSeeker(t, limit)
		p, alone := startTariDHT(t, release, append(forwards(release), "--dht-find-seconds", "3")...), startTariDHT(t, release)
		bystander := startTariDHT(t, release)
		reach(t, m, p, weDial) // p – m – bystander
		reach(t, m, bystander, weDial)
		defer wantNoBans(t, []*member{m}, []*tari{p, bystander, alone})
		timed := func(find func() error) time.Duration {
			begin := time.Now()
			if err := find(); err == nil {
				t.Error("got somebody, want nobody")
			}
			return time.Since(begin)
		}
		theirs := func(p *tari) func() error {
			return func() error {
				_, err := p.find(nobody)
				return err
			}
		}
		ours := func(m *member) func() error {
			return func() error {
				_, err := m.DHT().Discover(t.Context(), nobody)
				if err != nil && !errors.Is(err, discovery.ErrNotFound) && !errors.Is(err, discovery.ErrNobodyToAsk) {
					t.Errorf("got %v, want %v or %v", err, discovery.ErrNotFound, discovery.ErrNobodyToAsk)
				}
				return err
			}
		}
		for who, find := range map[string]func() error{"they": theirs(p), "we": ours(m)} {
			if took := timed(find); took < limit-500*time.Millisecond { // we answer a little ahead
				t.Errorf("%s: got nobody after %v, want it after %v", who, took, limit)
			}
		}
		for who, find := range map[string]func() error{"they": theirs(alone), "we": ours(startSeeker(t, time.Hour))} {
			if took := timed(find); took > connectLimit/2 {
				t.Errorf("%s, without a connection: got nobody after %v, want it at once", who, took)
			}
		}
	})
}

// Somebody who announces another's key in a Discovery makes a Tari node contact that other
// one; we refuse it, ban the author, and contact nobody.
//
// conforms: dht 85
// feature: DHT: a Discovery with another's claim is refused by us
// note: 6.2.0: answers it to the one whose claim it is
// note: 1.0.0-rc.5: answers it to the one whose claim it is
func TestDiscoveryOfAnother(t *testing.T) {
	t.Parallel()
	against(t, func(t *testing.T, release string) {
		t.Parallel()
		x, y, m := startBytes(t), startBytes(t), startMember(t, gamelan.DHTConfig{})
		p, victim := startTariDHT(t, release), startTariDHT(t, release)
		join(t, x, m)
		reach(t, y, p, weDial)
		send := func(by *member, to identity.NodeID, key identity.PublicKey) {
			e := composed(t, by.secret(), wire.Draft{
				Type: wire.TypeDiscovery, Destination: wire.To(key), EncryptFor: key,
				Body: wire.AppendBody(nil, announced(t, victim.secret, 5, victim.addr)),
			})
			by.submitBytes(to, e.Append(nil))
		}
		send(y, p.id, p.key)
		gamelantest.Eventually(t, connectLimit, "their answer to the victim", func() bool { return victim.linkedTo(p.id) })
		send(x, m.ID(), m.PublicKey())
		gamelantest.Eventually(t, connectLimit, "our ban of the author", func() bool {
			_, _, banned := m.Peers().Banned(x.ID())
			return banned
		})
		if _, ok := m.Peers().Get(victim.id); ok || victim.linkedTo(m.ID()) {
			t.Error("got the victim stored or contacted by us, want neither")
		}
		wantNoBans(t, []*member{y}, []*tari{p, victim})
	})
}

// Somebody answers a Discovery that is not for him. A Tari node bans the one whom it looks
// for; we ban the one who answers, and then find the other.
//
// conforms: dht 89
// feature: DHT: whoever answers for another is banned by us, not the one looked for
func TestAnswerForAnother(t *testing.T) {
	t.Parallel()
	against(t, func(t *testing.T, release string) {
		t.Parallel()
		target := startTariDHT(t, release)
		m := startMember(t, gamelan.DHTConfig{})
		x := startListener(t, wire.TypeDiscovery)
		join(t, m, x.member)
		type result struct {
			peer peerstore.Peer
			err  error
		}
		ended := make(chan result, 1)
		ctx, cancel := context.WithTimeout(t.Context(), connectLimit)
		defer cancel()
		go func() {
			peer, err := m.DHT().Discover(ctx, target.key)
			ended <- result{peer, err}
		}()
		asked := x.next(t)
		signer, err := asked.VerifyOrigin()
		if err != nil {
			t.Fatal(err)
		}
		opened, err := asked.Open(target.secret, signer)
		if err != nil {
			t.Fatal(err)
		}
		a, err := wire.DecodeAnnouncement(opened.Parts[0])
		if err != nil {
			t.Fatal(err)
		}
		answer := func(secret *identity.Secret, addr string) []byte {
			e := composed(t, secret, wire.Draft{Type: wire.TypeDiscoveryResponse, Body: wire.AppendBody(nil, announced(t, secret, a.Nonce, addr))})
			return e.Append(nil)
		}
		x.submitBytes(m.ID(), answer(x.secret(), x.addr()))
		gamelantest.Eventually(t, connectLimit, "our ban of who answered", func() bool {
			_, _, banned := m.Peers().Banned(x.ID())
			return banned
		})
		// The one looked for gets the message late, and answers.
		reach(t, x.member, target, weDial)
		x.sendBytes(target.id, asked.Append(nil))
		select {
		case r := <-ended:
			if r.err != nil || r.peer.Key != target.key {
				t.Errorf("got %+v, %v, want the one looked for", r.peer, r.err)
			}
		case <-ctx.Done():
			t.Error("got no end of the search, want the one looked for, who has answered")
		}
		wantNoBans(t, nil, []*tari{target})
		if _, _, banned := m.Peers().Banned(target.id); banned {
			t.Error("got a ban of the one looked for, want none")
		}
	})
}

// secret is the identity of our node.
func (m *member) secret() *identity.Secret { return nodetest.Trunk(m).Secret() }

// listener is a node by bytes that keeps the messages of one kind that come to it.
type listener struct {
	*member
	mu   sync.Mutex
	came []wire.Envelope
}

// startListener starts a node that takes messages of this kind and does nothing with them.
func startListener(t *testing.T, kind wire.MessageType) *listener {
	t.Helper()
	l := new(listener)
	keep := func(next dht.Handler) dht.Handler {
		return func(m *dht.Incoming) dht.Verdict {
			if m.Envelope.Header.Type == kind {
				kept, err := wire.DecodeEnvelope(m.Envelope.Append(nil))
				if err == nil {
					l.mu.Lock()
					l.came = append(l.came, kept)
					l.mu.Unlock()
				}
			}
			return next(m)
		}
	}
	l.member = &member{ours: startOurs(t, gamelan.Config{
		Floor: gamelan.NoFloor, DHT: &gamelan.DHTConfig{NoForwarding: true}, PlainID: "t/plain/1",
	}, gamelan.WithLayer(dht.BeforeVerify, keep))}
	return l
}

// next waits for the first message.
func (l *listener) next(t *testing.T) wire.Envelope {
	t.Helper()
	var first wire.Envelope
	gamelantest.Eventually(t, connectLimit, "a message", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		if len(l.came) == 0 {
			return false
		}
		first = l.came[0]
		return true
	})
	return first
}
