package peerstore

import (
	"errors"
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan/identity"
)

const seedKey = "d4b5066214a8568cb636cb8b734117f213a59336a73ce3fc012eaf858a3fda38"

// conforms: comms 135
func TestParseSeed(t *testing.T) {
	for text, want := range map[string][]string{
		seedKey + "::/ip4/203.0.113.7/tcp/18189":                                                        {"/ip4/203.0.113.7/tcp/18189"},
		strings.ToUpper(seedKey) + "::/ip4/127.0.0.1/tcp/1":                                             {"/ip4/127.0.0.1/tcp/1"},
		" " + seedKey + "::/ip4/1.2.3.4/tcp/1::/dns4/seed.example.com/tcp/2::/memory/9\n":               {"/ip4/1.2.3.4/tcp/1", "/dns4/seed.example.com/tcp/2", "/memory/9"},
		seedKey + "::/ip6/2001:db8::1/tcp/1::/ip6/2001:db8::/tcp/2::/ip6/::1/tcp/3::/ip4/1.2.3.4/tcp/4": {"/ip6/2001:db8::1/tcp/1", "/ip6/2001:db8::/tcp/2", "/ip6/::1/tcp/3", "/ip4/1.2.3.4/tcp/4"},
		seedKey + "::/onion3/vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyyd:1234":             {"/onion3/vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyyd:1234"},
		seedKey + "::/ip4/1.2.3.4/tcp/1::/ip4/1.2.3.4/tcp/1":                                            {"/ip4/1.2.3.4/tcp/1"},
	} {
		p, err := ParseSeed(text)
		if err != nil {
			t.Errorf("%q: got %v, want nil", text, err)
			continue
		}
		wantTexts(t, text, p, want...)
		if p.Key.String() != seedKey || p.ID != p.Key.NodeID() || p.Features != identity.FeatureNode || p.Flags != FlagSeed || p.Addresses[0].Source != Config {
			t.Errorf("%q: got %+v, want a configured full node, flagged as seed", text, p)
		}
		again, err := ParseSeed(p.Seed())
		if err != nil || again.Seed() != p.Seed() {
			t.Errorf("got %q, %v from its own text, want %q", again.Seed(), err, p.Seed())
		}
	}
}

// conforms: comms 135
func TestParseSeedRefuses(t *testing.T) {
	many := seedKey
	for i := range 11 {
		many += "::" + addrN(i).String()
	}
	for name, text := range map[string]string{
		"nothing":             "",
		"key alone":           seedKey,
		"no address":          seedKey + "::",
		"short key":           seedKey[2:] + "::/ip4/1.2.3.4/tcp/1",
		"no point":            strings.Repeat("ff", 32) + "::/ip4/1.2.3.4/tcp/1",
		"identity element":    strings.Repeat("00", 32) + "::/ip4/1.2.3.4/tcp/1",
		"text":                seedKey + "::example.com:18189",
		"no port":             seedKey + "::/ip4/1.2.3.4",
		"port zero":           seedKey + "::/ip4/1.2.3.4/tcp/0",
		"trailing component":  seedKey + "::/ip4/1.2.3.4/tcp/1/ws",
		"second is bad":       seedKey + "::/ip4/1.2.3.4/tcp/1::/dns/a.b/tcp/1",
		"trailing separator":  seedKey + "::/ip4/1.2.3.4/tcp/1::",
		"eleven addresses":    many,
		"longer than allowed": seedKey + "::" + strings.Repeat("/ip4/1.2.3.4/tcp/1::", 300),
	} {
		if p, err := ParseSeed(text); !errors.Is(err, ErrBadSeed) {
			t.Errorf("%s: got %v, %v, want ErrBadSeed", name, p.Seed(), err)
		}
	}
}

func FuzzParseSeed(f *testing.F) {
	f.Add(seedKey + "::/ip4/203.0.113.7/tcp/18189")
	f.Add(seedKey + "::/ip6/2001:db8::/tcp/2::/ip6/::1/tcp/3")
	f.Add(seedKey + "::/memory/1::/dns4/a.b/tcp/1")
	f.Add("::::/::/")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParseSeed(s)
		if err != nil {
			if !errors.Is(err, ErrBadSeed) {
				t.Fatalf("got %v, want ErrBadSeed", err)
			}
			return
		}
		if len(p.Addresses) == 0 || len(p.Addresses) > MaxAddresses {
			t.Fatalf("got %d addresses, want 1 to %d", len(p.Addresses), MaxAddresses)
		}
		again, err := ParseSeed(p.Seed())
		if err != nil || again.Seed() != p.Seed() {
			t.Fatalf("got %q, %v from its own text, want %q", again.Seed(), err, p.Seed())
		}
	})
}
