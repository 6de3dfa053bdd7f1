package address_test

import (
	"testing"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// TestExcluded: one range that contains the address is enough.
func TestExcluded(t *testing.T) {
	var ranges []protocol.AddressRange
	for _, text := range []string{"203.0.113.0/24", "/ip4/10.0.0.1/tcp/*"} {
		r, err := protocol.ParseAddressRange(text)
		if err != nil {
			t.Fatal(err)
		}
		ranges = append(ranges, r)
	}
	for a, want := range map[string]bool{
		"/ip4/203.0.113.9/tcp/1": true, "/ip4/10.0.0.1/tcp/2": true, "/ip4/10.0.0.2/tcp/2": false,
	} {
		if got := address.Excluded(ranges, ma.StringCast(a)); got != want {
			t.Errorf("%s: got %v, want %v", a, got, want)
		}
	}
	if address.Excluded(nil, ma.StringCast("/ip4/203.0.113.9/tcp/1")) {
		t.Error("got an address excluded without ranges")
	}
}
