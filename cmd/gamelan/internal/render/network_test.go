package render

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// TestNetworkNamesTheRemedy has nodes that have not found their network for different
// causes.
func TestNetworkNamesTheRemedy(t *testing.T) {
	const id = "00112233445566778899aabbcc"
	now := time.Now()
	asked := models.NetworkSeed{NodeID: id, AskedAt: now.Add(-time.Minute), Error: "dial peer " + id + ": dial /memory/1: connection refused"}
	for name, c := range map[string]struct {
		n    models.Network
		want []string // lines
		next string
	}{
		"off":        {models.Network{Summary: "this node runs without the DHT"}, []string{"this node runs without the DHT"}, "Next: start it without --no-dht, "},
		"fresh":      {models.Network{On: true, Automatic: true, Summary: "0 peers known"}, []string{"seeds       none; a seed is only needed to find the first nodes", "join        not announced yet", "rounds      not begun yet", "neighbours  none yet"}, `Next: tell the node of another one with "gamelan peers add KEY::ADDRESS"`},
		"on request": {models.Network{On: true, Known: 1}, []string{"looks       only on request: connections.floor is 0"}, ""},
		"seed fails": {models.Network{On: true, Automatic: true, Known: 1, Seeds: []models.NetworkSeed{asked}}, []string{"seeds       0011223344556677 did not answer 1 min ago: dial /memory/1: connection refused"}, `Next: check that a seed runs and can be reached; "gamelan why ` + id + `"`},
		"not asked":  {models.Network{On: true, Automatic: true, Known: 2, Seeds: []models.NetworkSeed{asked, {NodeID: id}}}, []string{"            0011223344556677 was not asked yet"}, ""},
		"nobody to announce to": {
			models.Network{On: true, Automatic: true, Known: 1, Join: models.NetworkJoin{LastAt: now.Add(-time.Minute), Error: "no node is connected"}},
			[]string{"join        announced to nobody 1 min ago: no node is connected"},
			"",
		},
		"announcing": {
			models.Network{On: true, Automatic: true, Known: 1, Join: models.NetworkJoin{NextAt: now.Add(9 * time.Minute)}},
			[]string{"join        being announced now"},
			"",
		},
		"starved": {
			models.Network{On: true, Automatic: true, Known: 9, Sync: models.NetworkSync{StarvedSince: now.Add(-2 * time.Minute)}},
			[]string{"            too few outbound connections for 2m; the node asks seeds and connected nodes again"},
			"",
		},
		"searches": {
			models.Network{On: true, Automatic: true, Known: 9, Searches: models.NetworkSearches{Running: []models.NetworkSearch{{Key: strings.Repeat("ab", 32), Stage: "asking the network", Since: now.Add(-9 * time.Second)}}}},
			[]string{"searches    abababababababab: asking the network, for 9s"},
			"",
		},
	} {
		var b bytes.Buffer
		if err := Network(&Output{Out: &b, Err: &b}, &c.n, now); err != nil {
			t.Fatal(err)
		}
		for _, line := range c.want {
			if !strings.Contains("\n"+b.String(), "\n"+line+"\n") {
				t.Errorf("%s: got\n%swant the line %q", name, b.String(), line)
			}
		}
		if _, next, ok := strings.Cut(b.String(), "\nNext: "); ok != (c.next != "") || ok && !strings.HasPrefix("Next: "+next, c.next) {
			t.Errorf("%s: got\n%swant %q at the end", name, b.String(), c.next)
		}
	}
}

// The table of the sets fits into 80 columns, and so does that of a round.
func TestNetworkTablesFit(t *testing.T) {
	var n models.Network
	var s models.Synced
	for range 8 {
		n.Neighbour.Members = append(n.Neighbour.Members, models.NetworkMember{NodeID: strings.Repeat("a", 26)})
		n.Random.Members = append(n.Random.Members, models.NetworkMember{NodeID: strings.Repeat("b", 26)})
		s.Nodes = append(s.Nodes, models.SyncedNode{NodeID: strings.Repeat("c", 26), Seed: true, Answered: true, Peers: 500, New: 500, Error: strings.Repeat("long words ", 20)})
	}
	var b bytes.Buffer
	o := &Output{Out: &b, Err: &b}
	if err := printSets(o, &n); err != nil {
		t.Fatal(err)
	}
	if err := syncedTable(o, &s); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), "aaaaaaaaaaaaaaaa  not connected  bbbbbbbbbbbbbbbb  not connected\n") {
		t.Errorf("got\n%s\nwant both sets side by side", b.String())
	}
	for line := range strings.Lines(b.String()) {
		if w := utf8.RuneCountInString(strings.TrimRight(line, "\n")); w > 80 {
			t.Errorf("got %d columns, want at most 80: %s", w, line)
		}
	}
}

// A round without an answer, and an announcement that nobody has, are failures that name
// each cause and the next step.
func TestNobodyAnswers(t *testing.T) {
	var b bytes.Buffer
	o := &Output{Out: &b, Err: &b}
	seed := func(err string) models.SyncedNode {
		return models.SyncedNode{NodeID: strings.Repeat("a", 26), Seed: true, Error: err}
	}
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"seeds":    {Synced(o, &models.Synced{Asked: 2, Nodes: []models.SyncedNode{seed("dial peer 00aa: dial /ip4/127.0.0.1/tcp/1: connection refused; check that the peer is running"), seed("")}}), "0 of 2 seeds answered: aaaaaaaaaaaaaaaa: connection refused, aaaaaaaaaaaaaaaa: it did not say why; connect it first: "},
		"nodes":    {Synced(o, &models.Synced{Asked: 1, Nodes: []models.SyncedNode{{NodeID: "b", Error: "x"}}}), "0 of 1 node answered: b: x; connect it first: "},
		"nobody":   {Joined(o, &models.Report{Reason: "nobody selected", Detail: "no connected node can take the message; connect to some first"}), "announced to nobody: no connected node can take the message; connect to some first"},
		"not took": {Joined(o, &models.Report{Copies: []models.Copy{{Peer: "c", Outcome: models.Outcome{Outcome: models.OutcomeFailed, Reason: "dial failed"}}}}), `nobody has the announcement; try again; "gamelan conns" shows the connections`},
	} {
		f, ok := c.err.(*failure.Error)
		if !ok || f.Code != failure.ExitFailed || !strings.HasPrefix(f.Error(), c.want) {
			t.Errorf("%s: got %v, want a failure that begins with %q", name, c.err, c.want)
		}
	}
	if !strings.Contains(b.String(), "c failed: dial failed\n") {
		t.Errorf("got\n%s\nwant the node that did not take the announcement", b.String())
	}
}

// The line of a seed has all addresses that others can dial, on one line.
func TestSeedLine(t *testing.T) {
	const key = "aa"
	for want, c := range map[string]struct {
		addrs []string
		local bool
	}{
		"aa::/ip4/127.0.0.1/tcp/18189":                                           {[]string{"/ip4/127.0.0.1/tcp/18189"}, true},
		"aa::/ip4/192.0.2.2/tcp/1":                                               {[]string{"/ip4/127.0.0.1/tcp/1", "/ip4/192.0.2.2/tcp/1"}, false},
		"aa::/dns4/seed.example.org/tcp/1::/ip4/192.0.2.2/tcp/1":                 {[]string{"/dns4/seed.example.org/tcp/1", "/ip4/192.0.2.2/tcp/1"}, false},
		"aa::/ip4/127.0.0.1/tcp/1::/ip6/::1/tcp/1":                               {[]string{"/ip4/127.0.0.1/tcp/1", "/ip6/::1/tcp/1"}, true},
		"aa::/onion3/vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyyd:1": {[]string{"/onion3/vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyyd:1"}, false},
	} {
		i := Identity{PublicKey: key}
		for _, a := range c.addrs {
			i.Seeds = append(i.Seeds, key+"::"+a)
		}
		if got, local := seedLine(i); got != want || local != c.local {
			t.Errorf("got %q, local %v, want %q, %v", got, local, want, c.local)
		}
	}
}
