package render

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

const (
	bobID    = "00112233445566778899aabbcc"
	otherKey = "3833c95738f3562b346ea16bd20ccf90dca424718543f67ae0bc529755a4902d"
	bobKey   = "e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76"
)

func withBob(out *bytes.Buffer) *Output {
	return &Output{Out: out, Err: out, Names: func() NamesOf { return NamesOf{bobID: "bob"} }}
}

// withKeys is an output of a node that knows otherKey and its id.
func withKeys(t *testing.T) (o *Output, otherID string) {
	t.Helper()
	key, err := identity.ParsePublicKey(otherKey)
	if err != nil {
		t.Fatal(err)
	}
	otherID = key.NodeID().String()
	o = withBob(new(bytes.Buffer))
	o.Keys = func(id string) string {
		if strings.HasPrefix(otherID, id) {
			return otherKey
		}
		return ""
	}
	return o, otherID
}

// TestWho: a peer is shown by its name, else by its public key, and by its node id only if
// nothing else is known of it or on request.
func TestWho(t *testing.T) {
	o, otherID := withKeys(t)
	const nobody = "9c01d2e4a1b2c3d4e5f6a7b8c9"
	for _, x := range []struct{ got, want, verbose string }{
		{bobID, "bob", "bob (node id 0011223344556677)"},
		{otherID, otherKey[:16], otherKey[:16] + " (node id " + otherID[:16] + ")"},
		{nobody, nobody[:16], nobody[:16]},
		{"", "", ""},
	} {
		o.Verbose = false
		if got := o.Who(x.got); got != x.want {
			t.Errorf("%q: got %q, want %q", x.got, got, x.want)
		}
		o.Verbose = true
		if got := o.Who(x.got); got != x.verbose {
			t.Errorf("%q: got %q, want %q", x.got, got, x.verbose)
		}
	}
	if got, want := o.whoLong(otherID, ""), otherKey+" (node id "+otherID+")"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	o.Verbose = false
	if got := o.WhoKey(bobKey); got != bobKey[:16] {
		t.Errorf("got %q, want the beginning of the key", got)
	}
}

// TestNamed has the sentences of a node, with ids of all kinds: a name or a key stands in place
// of an id, and what is no id of a known peer stays.
func TestNamed(t *testing.T) {
	o, otherID := withKeys(t)
	for text, want := range map[string]string{
		"peer " + bobID + " takes no messages":                  "peer bob takes no messages",
		"the last 3s ago from 0011223344556677, of type 7":      "the last 3s ago from bob, of type 7",
		"dial peer " + bobID + ": connection refused":           "dial peer bob: connection refused",
		"look at gamelan why " + bobID + "; or wait":            "look at gamelan why bob; or wait",
		"see \"gamelan why " + bobID + "\".":                    "see \"gamelan why bob\".",
		"node/conns/" + bobID + "-17 is stuck":                  "node/conns/bob-17 is stuck",
		"gone: " + otherID + "; see gamelan why " + otherID:     "gone: " + otherKey[:16] + "; see gamelan why " + otherKey[:16],
		`"` + bobID + `" is a node id`:                          `"` + bobID + `" is a node id`,
		"from " + otherID[:16] + ", type 7":                     "from " + otherKey[:16] + ", type 7",
		"peer 9c01d2e4a1b2c3d4e5f6a7b8c9 and 9c01d2e4a1b2c3d4":  "peer 9c01d2e4a1b2c3d4e5f6a7b8c9 and 9c01d2e4a1b2c3d4",
		"the key " + bobKey + " and the digits 00112233 of it ": "the key " + bobKey + " and the digits 00112233 of it ",
	} {
		if got := o.Named(text); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if got := new(Output).Named(text); got != text {
			t.Errorf("without names: got %q, want %q", got, text)
		}
	}
}

// TestActorNamed: the path of an actor has names and keys that a command takes, and with
// Verbose the ids of the log.
func TestActorNamed(t *testing.T) {
	o, otherID := withKeys(t)
	for path, want := range map[string]string{
		"node/conns/" + bobID + "-17":           "node/conns/bob-17",
		"node/services/messaging/" + otherID:    "node/services/messaging/" + otherKey[:16],
		"node/conns/9c01d2e4a1b2c3d4e5f6a7b8c9": "node/conns/9c01d2e4a1b2c3d4e5f6a7b8c9",
	} {
		o.Verbose = false
		if got := o.ActorNamed(path); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		o.Verbose = true
		if got := o.ActorNamed(path); got != path {
			t.Errorf("got %q, want %q", got, path)
		}
	}
}

// TestCommandNames: a command line has the name where it had the id or the key, but not before
// an address, where no name can stand.
func TestCommandNames(t *testing.T) {
	key, err := identity.ParsePublicKey(bobKey)
	if err != nil {
		t.Fatal(err)
	}
	o := &Output{Args: " --data-dir a", Names: func() NamesOf { return NamesOf{bobID: "bob, robert", key.NodeID().String(): "carol"} }}
	for verb, want := range map[string]string{
		"unban " + bobID:               "unban bob",
		"send --to " + bobKey:          "send --to carol",
		"dial " + bobKey + "::ADDRESS": "dial carol::ADDRESS",
		"why " + otherKey:              "why " + otherKey,
		"message " + bobID[:16]:        "message " + bobID[:16], // a tag
		"peers add KEY::ADDRESS":       "peers add KEY::ADDRESS",
	} {
		if got, want := o.Command(verb), "gamelan "+want+" --data-dir a"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if got := new(Output).Command(verb); got != "gamelan "+verb {
			t.Errorf("without names: got %q", got)
		}
	}
}

// TestStatusNames has a node whose warnings are about a peer with a name.
func TestStatusNames(t *testing.T) {
	var b bytes.Buffer
	s := Status{
		Node:    models.Node{Status: "degraded", Cause: "waits for " + bobID, Warnings: models.Notices{{What: "peer " + bobID + " takes none of our messages"}}},
		Reasons: models.Notices{{What: "no word from 0011223344556677"}},
	}
	if err := ShowStatus(withBob(&b), s, time.Now()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"waits for bob\n", "no word from bob\n", "peer bob takes none of our messages"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("got\n%s\nwant %q", b.String(), want)
		}
	}
}

// TestWaitingNames has messages that wait for a peer with a name.
func TestWaitingNames(t *testing.T) {
	o, now := withBob(new(bytes.Buffer)), time.Now()
	for _, got := range []string{
		o.WaitingPlain(1, &models.Peer{NodeID: bobID}, There{}, 0, now),
		o.Waiting(&models.Report{Tag: "0a", Begin: now}, &models.Copy{Peer: bobID}, &models.Peer{}, time.Minute, now),
	} {
		if !strings.Contains(got, " waits for bob: ") {
			t.Errorf("got %q, want the name", got)
		}
	}
}

// TestNamesAreReadWhenNeeded: what shows no peer reads no names.
func TestNamesAreReadWhenNeeded(t *testing.T) {
	var b bytes.Buffer
	read := 0
	o := &Output{Out: &b, Err: &b, Names: func() NamesOf { read++; return nil }}
	if err := o.Say("nothing about a peer"); err != nil || read != 0 {
		t.Errorf("got %d reads, %v, want none", read, err)
	}
	if got := o.Who(bobID); got != "0011223344556677" || read == 0 {
		t.Errorf("got %q, %d reads, want the id, and names read", got, read)
	}
}

// TestJoinNames has an announcement that a peer with a name did not confirm.
func TestJoinNames(t *testing.T) {
	var b bytes.Buffer
	copies := []models.Copy{
		{Peer: "9c01d2e4a1b2c3d4e5f6a7b8c9", Outcome: models.Outcome{Outcome: models.OutcomeConfirmed}},
		{Peer: bobID, Outcome: models.Outcome{Outcome: models.OutcomeFailed, Reason: "dial failed", Detail: "dial peer " + bobID + ": refused"}},
	}
	if err := Joined(withBob(&b), &models.Report{Copies: copies}); err != nil {
		t.Fatal(err)
	}
	if want := "bob failed: no connection to bob: refused\n"; !strings.HasSuffix(b.String(), want) {
		t.Errorf("got\n%s\nwant %q", b.String(), want)
	}
}
