package kadpart

import (
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// TestNotInNetwork has peers that list protocols of the key-value DHT, or none.
func TestNotInNetwork(t *testing.T) {
	const common, staging = "/gamelan/kad/1.0.0", "/gamelan/kad/1.0.0/staging"
	for _, c := range []struct {
		lists   []protocol.ID
		network string
		want    string
	}{
		{[]protocol.ID{"t/msg/0.1", common}, "", ""},
		{[]protocol.ID{staging, common}, "", ""},
		{[]protocol.ID{staging}, "staging", ""},
		{[]protocol.ID{"t/msg/0.1"}, "", "does not offer"},
		{nil, "staging", "does not offer"},
		{[]protocol.ID{"/gamelan/kad/1.0.01"}, "", "does not offer"},
		{[]protocol.ID{staging}, "", `in "staging", and this node in the common one`},
		{[]protocol.ID{common}, "staging", `in the common one, and this node in "staging"`},
		{[]protocol.ID{common + "/a", common + "/b"}, "staging", `in "a", "b", and`},
	} {
		got := ""
		if e := notInNetwork(identity.NodeID{}, c.lists, c.network); e != nil {
			got = e.Message
		}
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%q in %q: got %q, want %q", c.lists, c.network, got, c.want)
		}
	}
}
