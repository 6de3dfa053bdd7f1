package reachpart

import (
	"net/netip"
	"slices"
	"testing"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/transport"
)

// TestWarnings: what a node on a public network says when others cannot connect to it.
func TestWarnings(t *testing.T) {
	const public, other, private = "8.8.8.8:1", "9.9.9.9:1", "10.0.0.7:1"
	judged := func(addr string, v protocol.Reach) protocol.Reachability {
		return protocol.Reachability{Addr: netip.MustParseAddrPort(addr), Verdict: v, By: 2, Ours: true}
	}
	for name, c := range map[string]struct {
		told, listen string
		verdicts     []protocol.Reachability
		machine      string // an address that it has
		given        bool
		loopback     bool
		want         []*codes.Code
	}{
		"nothing known":            {told: public, listen: public},
		"reached":                  {told: public, listen: public, verdicts: []protocol.Reachability{judged(public, protocol.Reachable), judged(other, protocol.Unreachable)}},
		"not reached":              {told: public, listen: public, verdicts: []protocol.Reachability{judged(public, protocol.Unreachable)}, want: []*codes.Code{codes.NotReached}},
		"another may do":           {told: public, listen: public, verdicts: []protocol.Reachability{judged(public, protocol.Unreachable), judged(other, protocol.ReachNotKnown)}},
		"reached elsewhere":        {told: public, listen: public, verdicts: []protocol.Reachability{judged(public, protocol.Unreachable), judged(other, protocol.Reachable)}},
		"reached elsewhere, given": {told: public, listen: public, given: true, verdicts: []protocol.Reachability{judged(public, protocol.Unreachable), judged(other, protocol.Reachable)}, want: []*codes.Code{codes.WrongPublicAddress}},
		"private":                  {told: private, listen: private, want: []*codes.Code{codes.PrivateOnly}},
		"only dials":               {told: private},
		"no such address now":      {told: public, listen: public, machine: other, want: []*codes.Code{codes.ListenGone}},
		"two things":               {told: private, listen: private, machine: other, loopback: true, want: []*codes.Code{codes.ListenGone, codes.PrivateOnly, codes.LoopbackOnly}},
	} {
		t.Run(name, func(t *testing.T) {
			addrs := func(text string) func() []ma.Multiaddr {
				return func() (list []ma.Multiaddr) {
					if text != "" {
						list = append(list, transport.FromAddrPort(netip.MustParseAddrPort(text)))
					}
					return list
				}
			}
			r := &Reach{Settings: Settings{
				Claimed: addrs(c.told), Listening: addrs(c.listen), Given: func() bool { return c.given }, LoopbackOnly: c.loopback,
			}}
			r.verdicts.Store(&c.verdicts)
			if c.machine != "" {
				r.present.Store(&[]netip.Addr{netip.MustParseAddrPort(c.machine).Addr()})
			}
			var got, want []string
			for _, n := range r.Part().Warnings() {
				got = append(got, n.Code)
			}
			for _, code := range c.want {
				want = append(want, code.Name)
			}
			if !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}
