package render

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// TestNarrowTables has the lists of peers and messages, and the line of health, on a terminal
// of 60 columns: what tells one row from another is whole, and words are broken, not cut.
func TestNarrowTables(t *testing.T) {
	const width = 60
	const carol, dave = "11112233445566778899aabbcc", "22112233445566778899aabbcc"
	var b bytes.Buffer
	o := &Output{Out: &b, Err: &b, OutTerminal: true, Columns: width, Names: func() NamesOf {
		return NamesOf{bobID: "a-long-name-for-bob", carol: "carol"}
	}}
	now := time.Now()
	at := []models.Address{{Addr: "/ip4/203.100.113.107/tcp/18189"}}
	refused := []models.Address{{Addr: at[0].Addr, LastAttempt: now.Add(-time.Minute), LastError: "dial " + at[0].Addr + ": connection refused; check"}}
	if err := Peers(o, []models.Peer{
		{NodeID: bobID, UserAgent: "gamelan/0.1.0", Pool: "neighbour", Connection: new("c-1"), Addresses: at},
		{NodeID: carol, BannedUntil: now.Add(time.Hour), Addresses: at},
		{NodeID: dave, Pool: "seed", Addresses: refused},
	}, nil, now); err != nil {
		t.Fatal(err)
	}
	long := now.AddDate(0, 0, -40)
	if err := Messages(o, []models.Report{
		{Tag: "0123456789abcdef", To: "direct to " + bobID, Type: 1225, Size: 1 << 20, Begin: long, End: now, Summary: "1 confirmed"},
		{Tag: "1123456789abcdef", To: "flood", Type: 1225, Size: 12, Begin: now, End: now, Summary: "failed: peer not found: nobody has answered the search"},
		{Tag: "2123456789abcdef", To: "direct to " + dave, Type: 1225, Size: 12, Begin: now, End: now, Summary: "1 confirmed"},
	}); err != nil {
		t.Fatal(err)
	}
	if err := o.Say("healthy: online: connected to 1 node; looking for 7 more nodes; 1 of 1 neighbour connected"); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	if got := widest(strings.Split(style.ReplaceAllString(text, ""), "\n")); got > width {
		t.Errorf("got %d characters in a line of %d", got, width)
	}
	for _, want := range []string{
		"a-long-name-for-bob  connected  0s ", "  203.100.113.107:18189\n", "carol ", "away", "for 1 h more", "2211223344556677  ",
		"\n40d ", "\n0s ", "  a-long-name-for-bob ", "not found:\n", "connected to 1 node; looking for 7 more\n  nodes",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("got\n%s\nwant %q", text, want)
		}
	}
}
