package render

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

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

// TestAnswering: peers that have not answered for ten minutes are left out, but not those that a person has
// named or banned.
func TestAnswering(t *testing.T) {
	now := time.Now()
	ago := func(m time.Duration) time.Time { return now.Add(-m * time.Minute) }
	failed := models.Address{Addr: "/ip4/192.0.2.7/tcp/1", LastAttempt: ago(1), LastError: "connection refused"}
	was := failed
	was.LastOK = ago(5)
	all := []models.Peer{
		{NodeID: "connected", Connection: new("c-1"), Addresses: []models.Address{failed}, AddedAt: ago(60)},
		{NodeID: "untried", AddedAt: ago(60), Addresses: []models.Address{{Addr: "/ip4/192.0.2.7/tcp/2"}}},
		{NodeID: "dead", AddedAt: ago(60), Addresses: []models.Address{failed}},
		{NodeID: "just gone", AddedAt: ago(60), Addresses: []models.Address{was}},
		{NodeID: "ended", AddedAt: ago(60), EndedAt: ago(9), Addresses: []models.Address{failed}},
		{NodeID: "new", AddedAt: ago(2), Addresses: []models.Address{failed}},
		{NodeID: "seed", Pool: "seed", AddedAt: ago(60), Addresses: []models.Address{failed}},
		{NodeID: "banned", BannedUntil: now.Add(time.Hour), AddedAt: ago(60), Addresses: []models.Address{failed}},
		{NodeID: "dead, too", Pool: "neighbour", AddedAt: ago(10), Addresses: []models.Address{failed}},
	}
	list, away := Answering(slices.Clone(all), now)
	var names []string
	for _, p := range list {
		names = append(names, p.NodeID)
	}
	if got, want := strings.Join(names, " "), "connected untried just gone ended new seed banned"; got != want || away != 2 {
		t.Errorf("got %s, and %d away, want %s, and 2", got, away, want)
	}
	if got, want := AwayText(2, "gamelan peers --all"), "2 more have not answered for 10 minutes: gamelan peers --all"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestPresent: nodes that were not reached are one line, when another one has the message.
func TestPresent(t *testing.T) {
	o := &Output{}
	away := models.Copy{Peer: "00112233445566778899aabbcc", Outcome: models.Outcome{Outcome: models.OutcomeFailed, Reason: "dial failed", Detail: "no answer", Code: codes.DialNoAnswer.Name}}
	there := models.Copy{Peer: "ff112233445566778899aabbcc", Outcome: models.Outcome{Outcome: models.OutcomeConfirmed}}
	refused := models.Copy{Peer: "ee112233445566778899aabbcc", Outcome: models.Outcome{Outcome: models.OutcomeFailed, Reason: "refused"}}
	for name, x := range map[string]struct {
		copies []models.Copy
		lines  int
		away   string
	}{
		"three away":  {[]models.Copy{there, away, away, refused, away}, 2, "3 other nodes were not reached, the last one: failed: dial failed: no answer"},
		"one away":    {[]models.Copy{there, away}, 2, ""},
		"nobody has":  {[]models.Copy{away, away}, 2, ""},
		"nobody away": {[]models.Copy{there, refused}, 2, ""},
	} {
		if list, text := o.present(x.copies); len(list) != x.lines || text != x.away {
			t.Errorf("%s: got %d lines and %q, want %d and %q", name, len(list), text, x.lines, x.away)
		}
	}
}
