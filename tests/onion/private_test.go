package onion

import (
	"errors"
	"testing"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/transport/tor"
)

// TestPrivateNetworkOverTor: two nodes of a private network reach each other at their onion services. Somebody
// with everything but the secret reaches the service as well, and is refused there.
//
// conforms: V 43
func TestPrivateNetworkOverTor(t *testing.T) {
	acme := func() gamelan.Config {
		p, err := gamelan.NewNetwork("acme")
		if err != nil {
			t.Fatal(err)
		}
		return gamelan.Config{NoDHT: true, Private: &p, Listen: []string{"/ip4/127.0.0.1/tcp/0"}}
	}
	a, b := pairOfNodes(t, acme())
	a.confirmed(a.submit(b.ID(), 0, 100), b.heard)
	b.confirmed(b.submit(a.ID(), 0, 100), a.heard)
	if c := a.Connections(); len(c) != 1 || c[0].Addr.String() != b.onion.String() {
		t.Errorf("got the connections %v, want one to %s", c, b.onion)
	}
	x := newOnionNode(t, network(t).Clients[2], acme())
	x.since(0, tor.Published)
	x.advertised()
	x.know(b)
	const intruding = 1000
	out, err := x.Send(t.Context(), b.ID(), body(intruding))
	if err != nil || out.Kind != gamelan.Failed || !errors.Is(out.Err, gamelan.ErrSecretMayDiffer) {
		t.Errorf("the intruder: got %v, %v, want that the secret may differ", out, err)
	}
	b.know(x)
	if _, err := b.Dial(t.Context(), x.ID()); !errors.Is(err, gamelan.ErrSecretMayDiffer) {
		t.Errorf("a member that dials the intruder: got %v, want that the secret may differ", err)
	}
	seen := b.Inspection().Admission(t.Context()).Private
	if seen == nil || len(seen.WithoutSecret) != 1 || seen.WithoutSecret[0].Source != "this machine or Tor" || seen.WithoutSecret[0].Times == 0 {
		t.Errorf("got %+v, want the refusal of somebody from Tor", seen)
	}
	if len(x.Connections()) != 0 || len(b.Connections()) != 1 || b.heard.times(intruding) != 0 {
		t.Errorf("got %v of the intruder and %v of b, want that only a is connected", x.Connections(), b.Connections())
	}
	a.confirmed(a.submit(b.ID(), 100, 10), b.heard)
}
