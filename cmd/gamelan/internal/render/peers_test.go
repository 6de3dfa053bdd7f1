package render

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// The list of peers fits into 100 columns, whatever peers say and dials end
// with, and no word is cut.
func TestPeerListFits(t *testing.T) {
	now := time.Now()
	failed := func(text, addr string) models.Peer {
		return models.Peer{NodeID: "00112233445566778899aabbcc", UserAgent: strings.Repeat("agent ", 8), Addresses: []models.Address{
			{Addr: addr, LastAttempt: now.Add(-12 * time.Minute), LastError: text}, {Addr: "/ip4/127.0.0.1/tcp/2"},
		}}
	}
	for _, c := range []struct {
		peer models.Peer
		want string // of the state
	}{
		{failed("set-up with e8b8eba4409eac01 failed at key: peer has another key: e8b8, want 34ea; check the peer's key", "/ip4/127.0.0.1/tcp/7202"), "failed 12m ago: another key"},
		{failed("dial /ip4/127.0.0.1/tcp/7202: connection refused; check that the peer is running", "/ip4/203.100.113.107/tcp/18189"), "failed 12m ago: connection refused "},
		{failed("noise: read handshake message 2: carries a payload of 15393 bytes", "/onion3/"+strings.Repeat("x", 56)+":18141"), "failed 12m ago: noise: read… "},
		{failed(strings.Repeat("x", 90), "/ip4/127.0.0.1/tcp/1"), "failed 12m ago…"},
		{models.Peer{NodeID: "00112233445566778899aabbcc", Pool: "neighbour", Connection: new("c-1")}, "neighbour, connected"},
		{models.Peer{NodeID: "00112233445566778899aabbcc", Pool: "seed"}, "seed "},
		{models.Peer{NodeID: "00112233445566778899aabbcc", Pool: "seed", BannedUntil: now.Add(time.Hour)}, "banned until " + now.Add(time.Hour).Format("2006-01-02 15:04")},
		{models.Peer{NodeID: "00112233445566778899aabbcc", Pool: "none"}, "known"},
		{models.Peer{NodeID: "00112233445566778899aabbcc", BannedUntil: now.Add(time.Hour), BanReason: strings.Repeat("long ", 30)}, "banned until " + now.Add(time.Hour).Format("2006-01-02 15:04")},
	} {
		var b bytes.Buffer
		if err := Peers(&Output{Out: &b, Err: &b}, []models.Peer{c.peer}); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(b.String()) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > 100 {
				t.Errorf("got %d columns, want at most 100: %s", n, line)
			}
		}
		if !strings.Contains(b.String(), "0011223344556677  "+c.want) {
			t.Errorf("got\n%s\nwant the state %q", b.String(), c.want)
		}
	}
}

// TestPeerStateIsTheNewest has a peer whose failure is older than what came
// after it.
func TestPeerStateIsTheNewest(t *testing.T) {
	now := time.Now()
	before := func(d time.Duration) time.Time { return now.Add(-d) }
	moved := models.Address{Addr: "/ip4/127.0.0.1/tcp/1", LastAttempt: before(4 * time.Minute), LastError: "connection refused"}
	good := models.Address{Addr: "/ip4/127.0.0.1/tcp/2", LastAttempt: before(3 * time.Minute), LastOK: before(3 * time.Minute)}
	for want, p := range map[string]models.Peer{
		"failed 4m ago: connection refused":  {Addresses: []models.Address{moved}},
		"known":                              {Addresses: []models.Address{moved, good}},
		"ended 1m ago: ended by peer":        {Addresses: []models.Address{moved, good}, EndedAt: before(time.Minute), EndedWhy: "ended by peer"},
		"ended 2m ago: requested by us":      {Addresses: []models.Address{moved}, EndedAt: before(2 * time.Minute), EndedWhy: "requested by us"},
		"failed 4m ago: connection refused ": {Addresses: []models.Address{moved}, EndedAt: before(5 * time.Hour), EndedWhy: "ended by peer"},
	} {
		if got := peerState(p, now); got != strings.TrimSpace(want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
