package tests

import (
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// wantKnows checks that a node has the record of another, with its features and an
// address.
func wantKnows(t *testing.T, who string, m member, key identity.PublicKey, features identity.Features) {
	t.Helper()
	p, ok := m.Peers().Get(key.NodeID())
	if !ok || len(p.Addresses) == 0 || p.Features != features || p.Claim == nil {
		t.Errorf("%s: got %v, %+v, want the peer with %v, an address and its claim", who, ok, p, features)
	}
}

// TestBubbleJoinPropagation: A, connected to B, which is connected to C, joins; both learn
// where A is.
//
// conforms: dht 76, 81, 141
func TestBubbleJoinPropagation(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		all := members(net, 3)
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
// away, and D learns where A is.
//
// conforms: dht 82, 84, 141
func TestBubbleDiscoverPropagation(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		all := members(net, 3)
		a, b, c := all[0], all[1], all[2]
		d := startMember(net, gamelan.Config{Floor: gamelan.NoFloor, Client: true})
		net.Connect(a.Node, b.Node)
		net.Connect(b.Node, c.Node)
		net.Connect(d.Node, c.Node)
		begin := time.Now()
		p, err := a.DHT().Discover(t.Context(), d.PublicKey())
		if err != nil || p.Key != d.PublicKey() {
			t.Fatalf("got %+v, %v after %s, want d", p, err, time.Since(begin))
		}
		wantKnows(t, "a", a, d.PublicKey(), identity.FeatureNone)
		wantKnows(t, "d", d, a.PublicKey(), identity.FeatureNode)
		if v := a.DHT().Network().Searches; v.Found != 1 || v.Failed != 0 || len(v.Running) != 0 {
			t.Errorf("a: got %+v, want one search, found", v)
		}
		if v := d.DHT().Network().Searches; v.Answered != 1 {
			t.Errorf("d: got %+v, want one Discovery answered", v)
		}
		begin = time.Now()
		if _, err := a.DHT().Discover(t.Context(), d.PublicKey()); err != nil || time.Since(begin) > 0 {
			t.Errorf("again: got %v after %s, want the known peer at once", err, time.Since(begin))
		}
	})
}
