package assemble

import (
	"fmt"
	"strings"
	"testing"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/config"
	"github.com/gamelan-p2p/gamelan/internal/actors/connections"
	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// TestOwnAddresses: what a node that listens there tells others, on a public network.
//
// conforms: V 3, V 40
func TestOwnAddresses(t *testing.T) {
	public := address.Policy{}
	hidden := address.Policy{OutboundOnly: true}
	for _, c := range []struct {
		listen   []string
		policy   address.Policy
		want     string
		loopback bool
	}{
		{[]string{"/ip4/10.1.0.7/tcp/1"}, public, "[]", false},
		{[]string{"/ip4/10.1.0.7/tcp/1"}, hidden, "[/ip4/10.1.0.7/tcp/1]", false},
		{[]string{"/ip4/10.1.0.7/tcp/1", "/ip4/8.8.8.8/tcp/1"}, public, "[/ip4/8.8.8.8/tcp/1]", false},
		{[]string{"/ip4/127.0.0.1/tcp/1"}, public, "[]", true},
	} {
		b := &builder{Settled: new(config.Settled), Options: new(Options)}
		b.Wire = protocol.Tari(protocol.MainNet)
		for _, l := range c.listen {
			b.bound = append(b.bound, &connections.Bound{Addr: ma.StringCast(l)})
		}
		got := b.reachable(c.policy)
		if c.policy.OutboundOnly {
			got = b.privateAddress(c.policy)
		}
		if fmt.Sprint(got) != c.want {
			t.Errorf("%v, outbound-only %v: got %v, want %s", c.listen, c.policy.OutboundOnly, got, c.want)
		}
		if got := b.onlyLoopback(); got != c.loopback {
			t.Errorf("%v on loopback alone: got %v, want %v", c.listen, got, c.loopback)
		}
	}
}

// TestOnlyDialsWithoutAddress: the error of a node that only dials recommends an address, and not
// what the node does already.
func TestOnlyDialsWithoutAddress(t *testing.T) {
	why := new(builder).noAddress().Error()
	if !strings.Contains(why, "/ip4/10.0.0.1/tcp/18189") || strings.Contains(why, "ListenNowhere") {
		t.Errorf("got %q", why)
	}
}
