package interop

import (
	"crypto/rand"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/peerstore"
)

// otherThan is the release that is not this one.
func otherThan(release string) string {
	if release == releases[0] {
		return releases[1]
	}
	return releases[0]
}

// learns waits until the Tari node has the peer stored with this address.
func (p *tari) learns(key identity.PublicKey, addr string, features identity.Features) {
	p.t.Helper()
	var r record
	gamelantest.Eventually(p.t, connectLimit, "a record at the Tari node "+p.release, func() bool {
		r = p.record(key)
		return r.Known && slices.Contains(r.Addresses, addr)
	})
	if r.Banned || r.Features != uint32(features) {
		p.t.Errorf("Tari node %s about %s: got %+v, want features %d and no ban", p.release, key, r, features)
	}
}

// learns waits until our node has the peer stored with a claim of this address.
func (m *member) learns(key identity.PublicKey, addr string, features identity.Features) peerstore.Peer {
	m.t.Helper()
	var p peerstore.Peer
	gamelantest.Eventually(m.t, connectLimit, "a record at our node", func() bool {
		p, _ = m.Peers().Get(key.NodeID())
		return slices.ContainsFunc(p.Addresses, func(a peerstore.Address) bool { return a.Addr.String() == addr })
	})
	if p.Features != features || p.Claim == nil {
		m.t.Errorf("our node about %s: got features %v and the claim %v, want features %v and a claim", key, p.Features, p.Claim, features)
	}
	return p
}

// addr is the address that our node tells others.
func (m *member) addr() string { return m.Addresses()[0].String() }

// only waits for the only message of the DHT that has come from a peer, and returns it.
func (m *member) only(peer identity.NodeID) frame {
	m.t.Helper()
	gamelantest.Eventually(m.t, connectLimit, "a message of the DHT", func() bool { return len(m.seen.from(peer)) > 0 })
	all := m.seen.from(peer)
	if len(all) != 1 {
		m.t.Errorf("got %+v from %s, want one message", all, peer.Short())
	}
	return all[0]
}

// Our Join is stored by Tari nodes and relayed by them, to both kinds; the next node
// has it with the bytes that we have signed. Then those who have learned of us that way
// can dial us.
//
// conforms: dht 76
// feature: DHT: our Join, stored and relayed by their nodes
func TestOurJoin(t *testing.T) {
	t.Parallel()
	against(t, func(t *testing.T, release string) {
		t.Parallel()
		a, d := startMember(t, gamelan.DHTConfig{}), startMember(t, gamelan.DHTConfig{})
		p, q, r := startTariDHT(t, release), startTariDHT(t, otherThan(release)), startTariDHT(t, release)
		client := startTariDHT(t, release, "--features", "0")
		reach(t, a, p, weDial) // a – p – q, d, client; q – r
		reach(t, d, p, weDial)
		meet(t, p, q)
		meet(t, q, r)
		meet(t, client, p)
		defer wantNoBans(t, []*member{a, d}, []*tari{p, q, r, client})
		report, err := a.DHT().Join(t.Context())
		if err != nil || len(report.Copies) != 1 || report.Copies[0].Peer != p.id {
			t.Fatalf("we join: got %s, %v, want one copy, to %s", report.String(), err, p.id.Short())
		}
		for _, one := range []*tari{p, q, r} {
			one.learns(a.PublicKey(), a.addr(), identity.FeatureNode)
		}
		d.learns(a.PublicKey(), a.addr(), identity.FeatureNode)
		relayed := d.only(p.id)
		for _, one := range []*tari{p, q, r} {
			if n := one.hits(relayed.hash[:]); n < 1 {
				t.Errorf("the Join as it came through %s, at a Tari node %s: got it %d times, want it", p.release, one.release, n)
			}
		}
		r.must("dial", args{"peer": a.PublicKey().String()}, nil)
		if n := client.hits(relayed.hash[:]); n != 0 {
			t.Errorf("at a client: got the Join %d times, want it not", n)
		}
	})
}

// Their Join is stored by us and relayed as it came, to nodes of both kinds, but neither
// to clients nor back; the next Tari node finds its signature good. Then we can dial
// whoever we have learned of.
//
// conforms: dht 78, 81
// feature: DHT: their Join, stored and relayed by us
func TestTheirJoin(t *testing.T) {
	t.Parallel()
	against(t, func(t *testing.T, release string) {
		t.Parallel()
		m, d, p, q, r, client := startStar(t, release)
		defer wantNoBans(t, []*member{m, d}, []*tari{p, q, r, client})
		p.must("dht_join", nil, nil)
		m.learns(p.key, p.addr, identity.FeatureNode)
		d.learns(p.key, p.addr, identity.FeatureNode)
		for _, one := range []*tari{q, r} {
			one.learns(p.key, p.addr, identity.FeatureNode)
		}
		came, relayed := m.only(p.id), d.only(m.ID())
		if came.hash != relayed.hash || came.tag != relayed.tag || came.body != relayed.body {
			t.Errorf("got %+v relayed, want it as it came: %+v", relayed, came)
		}
		for _, one := range []*tari{q, r} {
			if n := one.hits(came.hash[:]); n != 1 {
				t.Errorf("at a Tari node %s: got the Join %d times, want once", one.release, n)
			}
		}
		if _, err := d.Dial(t.Context(), p.id); err != nil {
			t.Errorf("we dial whom we learned of: %v", err)
		}
		// Messages on the same connections come after the Joins that were relayed.
		for _, one := range []*tari{p, client} {
			m.mustSend(dht.Message{To: dht.Direct{Peer: one.id}, Body: []byte("last")}, 1)
			one.delivery("last")
		}
		if n := client.hits(came.hash[:]); n != 0 {
			t.Errorf("at a client: got the Join %d times, want it not", n)
		}
		if n := p.hits(came.hash[:]); n > 1 { // the author counts his own
			t.Errorf("at the joiner: got the Join back")
		}
	})
}

// A Join whose body is not as any node would encode it, or with parts that nobody reads,
// or for nobody in particular, goes on from us with the bytes that were signed: the next
// Tari node stores the joiner and bans nobody. A Tari node in our place would be banned.
//
// conforms: dht 81
// feature: DHT: a Join in an unusual encoding, relayed by us so that they ban nobody
func TestOddJoin(t *testing.T) {
	t.Parallel()
	against(t, func(t *testing.T, release string) {
		t.Parallel()
		x, m, p := startBytes(t), startMember(t, gamelan.DHTConfig{}), startTariDHT(t, release)
		join(t, x, m) // x – m – p
		reach(t, m, p, weDial)
		defer wantNoBans(t, []*member{x, m}, []*tari{p})
		const addr = "/ip4/127.0.0.1/tcp/20001"
		for _, odd := range []struct {
			name string
			make func(author identity.PublicKey, part []byte) wire.Draft
		}{
			{"an unknown field in the body", func(author identity.PublicKey, part []byte) wire.Draft {
				unknown := protowire.AppendVarint(protowire.AppendTag(nil, 9, protowire.VarintType), 7)
				return wire.Draft{Destination: wire.To(author), Body: append(unknown, wire.AppendBody(nil, part)...)}
			}},
			{"a second part", func(author identity.PublicKey, part []byte) wire.Draft {
				return wire.Draft{Destination: wire.To(author), Body: wire.AppendBody(nil, part, []byte("more"))}
			}},
			{"no destination", func(_ identity.PublicKey, part []byte) wire.Draft {
				return wire.Draft{Body: wire.AppendBody(nil, part)}
			}},
			{"version 1", func(author identity.PublicKey, part []byte) wire.Draft {
				return wire.Draft{Version: 1, Destination: wire.To(author), Body: wire.AppendBody(nil, part)}
			}},
		} {
			author := newSecret(t)
			draft := odd.make(author.PublicKey(), announced(t, author, 0, addr))
			draft.Type = wire.TypeJoin
			e := composed(t, author, draft)
			x.sendBytes(m.ID(), e.Append(nil))
			m.learns(author.PublicKey(), addr, identity.FeatureNode)
			p.learns(author.PublicKey(), addr, identity.FeatureNode)
			hash := e.DedupHash()
			if n := p.hits(hash[:]); n != 1 {
				t.Errorf("%s: got it %d times relayed, want once", odd.name, n)
			}
		}
	})
}

// announced is what a node of that key and address says of itself in a Join or a Discovery.
func announced(t *testing.T, author *identity.Secret, nonce uint64, addr string) []byte {
	t.Helper()
	a := wire.NewAnnouncement(claimed(t, author, addr), nonce)
	return a.Append(nil)
}

func claimed(t *testing.T, author *identity.Secret, addr string) identity.Claim {
	t.Helper()
	parsed, err := ma.NewMultiaddr(addr)
	if err != nil {
		t.Fatal(err)
	}
	c, err := identity.SignClaim(author, identity.FeatureNode, [][]byte{parsed.Bytes()}, time.Now(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// startStar starts a node of ours, m, and connects it to all others: d is of ours too, p and
// q are of a release, r is of the other one, and client is a client of the release.
func startStar(t *testing.T, release string) (m, d *member, p, q, r, client *tari) {
	t.Helper()
	m, d = startMember(t, gamelan.DHTConfig{}), startMember(t, gamelan.DHTConfig{})
	p, q, r = startTariDHT(t, release), startTariDHT(t, release), startTariDHT(t, otherThan(release))
	client = startTariDHT(t, release, "--features", "0")
	reach(t, m, p, weDial)
	reach(t, m, q, weDial)
	reach(t, m, r, theyDial)
	reach(t, m, client, theyDial)
	join(t, m, d)
	return m, d, p, q, r, client
}
