package interop

import (
	"slices"
	"testing"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Both sides know who the other is, what it offers and where it is.
//
// conforms: comms 21, 29-31, 33, 45, 52
// feature: connect, exchange identities
func TestConnectAndIdentity(t *testing.T) { bothWays(t, connectAndIdentity) }

func connectAndIdentity(t *testing.T, release string, who dialer) {
	n, p := pair(t, release, who)
	ref, ok := n.Connection(p.id)
	if !ok {
		t.Fatal("our side: got no connection, want one")
	}
	wantDirection := map[dialer]protocol.Direction{weDial: protocol.Outbound, theyDial: protocol.Inbound}[who]
	if ref.Direction != wantDirection {
		t.Errorf("our side: got direction %v, want %v", ref.Direction, wantDirection)
	}
	if ref.Key != p.secret.PublicKey() || ref.Peer != p.key.NodeID() {
		t.Errorf("our side: got %s (%s), want %s (%s)", ref.Key, ref.Peer, p.secret.PublicKey(), p.id)
	}
	if want := "tari/interop/" + release; ref.UserAgent != want {
		t.Errorf("their user agent: got %q, want %q", ref.UserAgent, want)
	}
	if ref.Features != identity.FeatureNode || !ref.Accepts("t/msg/0.1") || !ref.Accepts(echoID) {
		t.Errorf("our side: got features %v and protocols %q, want a node with messaging and echo", ref.Features, ref.Protocols)
	}
	stored, _ := n.Peers().Get(p.id)
	if len(stored.Addresses) != 1 || stored.Addresses[0].Addr.String() != p.addr {
		t.Errorf("their addresses: got %v, want %s", stored.Addresses, p.addr)
	}

	// They store what they were told some time after they have connected.
	var r record
	gamelantest.Eventually(t, connectLimit, "their record of us", func() bool {
		r = p.record(n.PublicKey())
		return r.UserAgent != ""
	})
	if !r.Known || r.Banned || r.Features != 3 || r.UserAgent != "gamelan/"+gamelan.Version {
		t.Errorf("their record of us: got %+v, want a node gamelan/%s without a ban", r, gamelan.Version)
	}
	if !slices.Contains(r.Protocols, "t/msg/0.1") || !slices.Contains(r.Protocols, string(echoID)) {
		t.Errorf("our protocols there: got %q, want messaging and echo", r.Protocols)
	}
	if want := n.Addresses()[0].String(); !slices.Contains(r.Addresses, want) {
		t.Errorf("our addresses there: got %q, want %q", r.Addresses, want)
	}
	links := p.links()
	if len(links) != 1 || links[0].NodeID != n.ID().String() || links[0].Direction == ref.Direction.String() {
		t.Errorf("their connections: got %+v, want one, with %s, the other way round", links, n.ID())
	}
}
