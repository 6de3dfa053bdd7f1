package tor

import (
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/transport"
	"github.com/gamelan-p2p/gamelan/transport/socks"
	"github.com/gamelan-p2p/gamelan/transport/tcp"
)

// TestCircuitsOfPeers dials one onion service for two peers, twice each: Tor says which circuits
// the streams have.
func TestCircuitsOfPeers(t *testing.T) {
	n := network(t)
	l, err := tcp.New(tcp.Options{}).Listen(t.Context(), anyPort)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client := n.Clients[1]
	tr := socksThrough(t, client, socks.Options{})
	r := drive(t, torOf{n.Clients[0]}, "auto")
	to := publish(t, r, l, tr)
	var circuits []string
	known := map[string]bool{}
	for _, peer := range []identity.NodeID{{1}, {2}, {1}, {2}} {
		conn, err := tr.Dial(transport.WithPeer(t.Context(), peer), to)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		lines, err := client.Ask("GETINFO stream-status")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.SplitSeq(strings.TrimPrefix(strings.Join(lines, "\n"), "stream-status="), "\n") {
			// <stream> SUCCEEDED <circuit> <target>
			words := strings.Fields(line)
			if len(words) > 3 && words[1] == "SUCCEEDED" && !known[words[0]] {
				known[words[0]] = true
				circuits = append(circuits, words[2])
			}
		}
	}
	// The stream by which publish had dialled may still have been there.
	if len(circuits) < 4 {
		t.Fatalf("got the circuits %v, want those of four streams", circuits)
	}
	c := circuits[len(circuits)-4:]
	if c[0] != c[2] || c[1] != c[3] || c[0] == c[1] {
		t.Errorf("got the circuits %v, want one for each peer", c)
	}
}
