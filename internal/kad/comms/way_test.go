package comms

import (
	"crypto/rand"
	"testing"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/kad"
)

// TestWay tells how requests go to a contact: with a dial unless it is connected, and through Tor
// where the node has no other way, or the contact is an onion service.
//
// conforms: kad 35
func TestWay(t *testing.T) {
	secret, err := identity.NewSecret(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	const onion, direct = "/onion3/vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyyd:1234", "/ip4/198.51.100.7/tcp/1234"
	key := secret.PublicKey()
	at := func(s string) *actors.ConnRef {
		m, err := ma.NewMultiaddr(s)
		if err != nil {
			t.Fatal(err)
		}
		return &actors.ConnRef{ID: 7, Key: key, Addr: m}
	}
	for _, x := range []struct {
		name      string
		torNode   bool
		conn      *actors.ConnRef
		addresses []kad.Address
		dial, tor bool
	}{
		{"connected", false, at(direct), []kad.Address{onion}, false, false},
		{"connected, without address", false, &actors.ConnRef{ID: 7, Key: key}, nil, false, false},
		{"connected to an onion service", false, at(onion), []kad.Address{direct}, false, true},
		{"not connected", false, nil, []kad.Address{direct}, true, false},
		{"not connected, an onion service too", false, nil, []kad.Address{onion, direct}, true, false},
		{"not connected, an onion service", false, nil, []kad.Address{onion}, true, true},
		{"not connected, known by key", false, nil, nil, true, false},
		{"behind Tor, connected", true, at("/ip4/127.0.0.1/tcp/9"), []kad.Address{direct}, false, true},
		{"behind Tor", true, nil, []kad.Address{direct}, true, true},
	} {
		n, err := New(connected{conn: x.conn}, "", x.torNode)
		if err != nil {
			t.Fatal(err)
		}
		if dial, tor := n.Way(kad.Contact{PublicKey: key, Addresses: x.addresses}); dial != x.dial || tor != x.tor {
			t.Errorf("%s: got a dial %v, Tor %v, want %v, %v", x.name, dial, tor, x.dial, x.tor)
		}
	}
}
