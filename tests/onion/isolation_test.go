package onion

import (
	"errors"
	"strings"
	"testing"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/tests/onion/tornet"
	"github.com/gamelan-p2p/gamelan/transport"
	"github.com/gamelan-p2p/gamelan/transport/socks"
	"github.com/gamelan-p2p/gamelan/transport/tcp"
)

// TestCircuitsOfPeers dials one onion service for two peers, twice each: Tor says which circuits
// the streams have. A peer may get a fresh circuit when one has broken; then the dials begin anew.
func TestCircuitsOfPeers(t *testing.T) {
	n := network(t)
	l, err := tcp.New(tcp.Options{}).Listen(t.Context(), anyPort)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client := n.Clients[1]
	to := publish(t, drive(t, torOf{n.Clients[0]}, "safecookie=@"+n.Clients[0].Cookie), l, socksThrough(t, client, socks.Options{}))
	const rounds = 3
	for round := 1; ; round++ {
		tr := socksThrough(t, client, socks.Options{})
		var c [4]string
		for i, peer := range []identity.NodeID{{1}, {2}, {1}, {2}} {
			if c[i], err = circuitOf(t, client, tr, peer, to); err != nil {
				break
			}
		}
		switch {
		case err == nil && c[0] == c[2] && c[1] == c[3] && c[0] != c[1]:
			return
		case round == rounds:
			t.Fatalf("got the circuits %v, %v, want one for each peer", c, err)
		}
		t.Logf("round %d: circuits %v, %v", round, c, err)
	}
}

// circuitOf dials the address for a peer and returns the circuit of the new stream, which stays
// open for the time of the test.
func circuitOf(t *testing.T, client *tornet.Client, tr *socks.Transport, peer identity.NodeID, to ma.Multiaddr) (string, error) {
	t.Helper()
	before, err := streams(client)
	if err != nil {
		return "", err
	}
	conn, err := tr.Dial(transport.WithPeer(t.Context(), peer), to)
	if err != nil {
		return "", err
	}
	t.Cleanup(func() { conn.Close() })
	after, err := streams(client)
	if err != nil {
		return "", err
	}
	for stream, circuit := range after {
		if before[stream] == "" {
			return circuit, nil
		}
	}
	return "", errors.New("no new stream")
}

// streams returns the circuit of each open stream of a client.
func streams(client *tornet.Client) (map[string]string, error) {
	lines, err := client.Ask("GETINFO stream-status")
	if err != nil {
		return nil, err
	}
	all := make(map[string]string)
	for line := range strings.SplitSeq(strings.TrimPrefix(strings.Join(lines, "\n"), "stream-status="), "\n") {
		// <stream> SUCCEEDED <circuit> <target>
		if words := strings.Fields(line); len(words) > 3 && words[1] == "SUCCEEDED" {
			all[words[0]] = words[2]
		}
	}
	return all, nil
}
