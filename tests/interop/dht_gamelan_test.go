package interop

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// member is a node of ours with the DHT: what it has heard there, and what has
// come to it before anything was judged.
type member struct {
	*ours
	heard *gamelantest.Collector
	seen  *frames
}

// frame is what a message says of itself to those who cannot read it.
type frame struct {
	source identity.NodeID
	tag    uint64
	hash   wire.Hash
	body   int // bytes as they travel
}

// frames are all that came, also what is dropped later.
type frames struct {
	mu  sync.Mutex
	all []frame
}

func (f *frames) layer(next dht.Handler) dht.Handler {
	return func(m *dht.Incoming) dht.Verdict {
		f.mu.Lock()
		f.all = append(f.all, frame{m.Source, m.Envelope.Header.Tag, m.Envelope.DedupHash(), len(m.Envelope.Body)})
		f.mu.Unlock()
		return next(m)
	}
}

// from returns what came from a peer, in order.
func (f *frames) from(peer identity.NodeID) (of []frame) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range f.all {
		if m.source == peer {
			of = append(of, m)
		}
	}
	return of
}

// startMember starts a node of ours that dials only whom it is told to, and asks nobody for
// stored messages.
func startMember(t *testing.T, cfg gamelan.DHTConfig, opts ...gamelan.Option) *member {
	t.Helper()
	return startMemberAs(t, gamelan.Config{DHT: &cfg, StoreForward: gamelan.StoreForwardConfig{NoRequests: true}}, opts...)
}

// startMemberAs is startMember with settings beyond those of the DHT.
func startMemberAs(t *testing.T, cfg gamelan.Config, opts ...gamelan.Option) *member {
	t.Helper()
	m := &member{heard: gamelantest.NewCollector(), seen: new(frames)}
	cfg.Floor, cfg.PlainID = gamelan.NoFloor, "t/plain/1"
	n := startOurs(t, cfg, append([]gamelan.Option{
		gamelan.WithType(domainType, m.heard.New),
		gamelan.WithLayer(dht.BeforeVerify, m.seen.layer),
	}, opts...)...)
	m.ours = n
	return m
}

// times is how often a message with that body was delivered.
func (m *member) times(body string) (n int) {
	for _, b := range m.heard.Bodies() {
		if b == body {
			n++
		}
	}
	return n
}

// delivery waits until a message with that body was delivered.
func (m *member) delivery(body string) dht.Received {
	m.t.Helper()
	var found dht.Received
	gamelantest.Eventually(m.t, connectLimit, fmt.Sprintf("%.60q delivered by our DHT", body), func() bool {
		all := m.heard.Delivered()
		i := slices.IndexFunc(all, func(d dht.Received) bool { return string(d.Body) == body })
		if i >= 0 {
			found = all[i]
		}
		return i >= 0
	})
	return found
}

// mustSend sends a message of which every copy has to be confirmed.
func (m *member) mustSend(message dht.Message, copies int) dht.Report {
	m.t.Helper()
	if message.Type == 0 {
		message.Type = domainType
	}
	r, err := m.DHT().Send(m.t.Context(), message)
	if err != nil || len(r.Copies) != copies || r.Count(protocol.Confirmed) != copies || !r.Ended() {
		m.t.Fatalf("we send %.60q by %s: got %s of %d copies, %v, want %d confirmed", message.Body, r.To, r.String(), len(r.Copies), err, copies)
	}
	return r
}

// reach connects the two for good, as [meet] does for Tari nodes.
func reach(t *testing.T, m *member, p *tari, who dialer) {
	t.Helper()
	var dial func() error
	if who == theyDial {
		p.knowsNode(m.Node)
		dial = func() error { return p.ask("dial", args{"peer": m.PublicKey().String()}, nil) }
	} else {
		if _, err := m.Peers().AddSeed(t.Context(), p.seed()); err != nil {
			t.Fatal(err)
		}
		dial = func() error {
			_, err := m.Dial(t.Context(), p.id)
			return err
		}
	}
	if err := dial(); err != nil {
		t.Fatalf("%s, Tari node %s: %v", who, p.release, err)
	}
	const looks = 30
	seen := 0
	gamelantest.Eventually(t, connectLimit, "one connection that stays", func() bool {
		if _, here := m.Connection(p.id); here && p.linkedTo(m.ID()) {
			seen++
			return seen > looks
		}
		seen = 0
		_ = dial() // again until it works
		return false
	})
}

// join connects two nodes of ours.
func join(t *testing.T, m, other *member) {
	t.Helper()
	if _, err := m.Peers().AddSeed(t.Context(), other.PublicKey().String()+"::"+other.Addresses()[0].String()); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Dial(t.Context(), other.ID()); err != nil {
		t.Fatal(err)
	}
	gamelantest.Eventually(t, connectLimit, "the connection at the other", func() bool {
		_, ok := other.Connection(m.ID())
		return ok
	})
}

// wantNoBans checks that nobody has banned anybody.
func wantNoBans(t *testing.T, our []*member, their []*tari) {
	t.Helper()
	for _, m := range our {
		for peer := range m.Peers().All() {
			if peer.Banned(time.Now()) {
				t.Errorf("we banned %s: %s, want no ban", peer.ID, peer.BanReason)
			}
		}
	}
	for _, p := range their {
		if bans := p.bans(); len(bans) > 0 {
			t.Errorf("Tari node %s banned %v, want nobody", p.release, bans)
		}
		for _, m := range our {
			if r := p.record(m.PublicKey()); r.Banned {
				t.Errorf("Tari node %s banned us for %d s: %s, want no ban", p.release, r.BannedFor, r.BanReason)
			}
		}
	}
}

// wantOrigin compares who wrote a message, nobody if it is not signed.
func wantOrigin(t *testing.T, what string, got, want identity.PublicKey, signed bool) {
	t.Helper()
	if !signed {
		want = identity.PublicKey{}
	}
	if got != want {
		t.Errorf("%s: got the origin %v, want %v", what, got, want)
	}
}

// keyOf is the key that a Tari node named, or none.
func keyOf(key *identity.PublicKey) identity.PublicKey {
	if key == nil {
		return identity.PublicKey{}
	}
	return *key
}
