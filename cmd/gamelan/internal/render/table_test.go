package render

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gamelan-p2p/gamelan/inspect"
)

func drawn(t *testing.T, terminal bool, columns int, rows [][]string) []string {
	t.Helper()
	var b bytes.Buffer
	o := Output{Out: &b, OutTerminal: terminal, Columns: columns}
	if err := o.Table(rows); err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
}

func widest(lines []string) (n int) {
	for _, l := range lines {
		n = max(n, utf8.RuneCountInString(l))
	}
	return n
}

// TestTableFits draws tables on terminals and elsewhere.
func TestTableFits(t *testing.T) {
	onion := "/onion3/" + strings.Repeat("v", 56) + ":18141"
	id := strings.Repeat("0123456789", 3)[:26]
	table := func() [][]string {
		return [][]string{
			{"PEER", "ADDRESS", "STATE", "SINCE"},
			{id, onion, "waits for the end of a pause", "3m20s"},
			{"bob", "/ip4/127.0.0.1/tcp/18141", "connected", "1s"},
		}
	}
	for _, width := range []int{80, 100, 120} {
		lines := drawn(t, true, width, table())
		if got := widest(lines); got > width {
			t.Errorf("got %d characters in a line of %d", got, width)
		}
		if !strings.Contains(lines[1], "waits for the end of a pause") || !strings.Contains(lines[1], "3m20s") {
			t.Errorf("%d columns: got %q, want the words whole, and ids cut before them", width, lines[1])
		}
		if !strings.Contains(lines[1], "…") {
			t.Errorf("%d columns: got %q, want a mark where something was cut", width, lines[1])
		}
	}
	whole := drawn(t, false, 0, table())
	for _, text := range []string{id, onion} {
		if !strings.Contains(whole[1], text) {
			t.Errorf("got %q outside of a terminal, want %s whole", whole[1], text)
		}
	}
	if wide := drawn(t, true, 200, table()); strings.Join(wide, "\n") != strings.Join(whole, "\n") {
		t.Errorf("got %q on a wide terminal, want nothing cut", wide)
	}
	narrow := drawn(t, true, 40, table())
	if !strings.HasPrefix(narrow[1], id[:leastID-1]+"…") {
		t.Errorf("got %q in 40 columns, want the beginning of the id", narrow[1])
	}
	if got := widest(narrow); got > 40 {
		t.Errorf("got %d characters in a line of 40", got)
	}
}

// TestLastColumnGoesOn breaks the words of the last column below it, and cuts no date.
func TestLastColumnGoesOn(t *testing.T) {
	id := strings.Repeat("0123456789", 3)[:26]
	why := "failed: peer not found: nobody has answered the search after 1m0s"
	got := drawn(t, true, 80, [][]string{
		{"SENT", "TAG", "TO", "TYPE", "SIZE", "HOW IT ENDED"},
		{"2026-11-23T16:06:49Z", id[:16], "direct to a-long-name-for-a (node id " + id[:16] + ")", "1225", "12 B", why},
	})
	want := []string{
		"SENT                  TAG       TO                 TYPE  SIZE  HOW IT ENDED",
		"2026-11-23T16:06:49Z  0123456…  direct to a-long…  1225  12 B  failed: peer not",
		"                                                               found: nobody has",
		"                                                               answered the",
		"                                                               search after 1m0s",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestTreeFits draws a tree with a long line on terminals and elsewhere.
func TestTreeFits(t *testing.T) {
	tree := &inspect.Tree{Branches: []inspect.Branch{{Actor: inspect.Actor{Name: "node", State: inspect.Running, Line: strings.Repeat("0123456789", 15)}}}}
	for _, width := range []int{80, 120, 0} {
		var b bytes.Buffer
		o := Output{Out: &b, OutTerminal: width > 0, Columns: width}
		if err := Tree(&o, tree, false, false, 1); err != nil {
			t.Fatal(err)
		}
		switch got := widest(strings.Split(b.String(), "\n")); {
		case width > 0 && got != width:
			t.Errorf("got %d characters in a line, want %d", got, width)
		case width == 0 && got < 150:
			t.Errorf("got %d characters outside of a terminal, want nothing cut", got)
		}
	}
}

// TestSettingsStayWhole: a table of settings on a narrow terminal cuts values, not the names of
// settings, which are there to be copied.
func TestSettingsStayWhole(t *testing.T) {
	const long = "connections.max_setup_rate_per_source"
	for _, width := range []int{60, 80} {
		lines := drawn(t, true, width, [][]string{
			{"SETTING", "VALUE", "FROM"},
			{"data_dir", `"` + strings.Repeat("/long", 30) + `"`, "/etc/gamelan/gamelan.toml:1"},
			{"node.listen", "(on localnet a free loopback port, kept for the next start)", "default"},
			{long, "120", "gamelan.toml:17, has changed and takes a restart"},
		})
		if got := widest(lines); got > width {
			t.Errorf("got %d characters in a line of %d", got, width)
		}
		if got := strings.Join(lines, "\n"); !strings.Contains(got, "\n"+long+" ") {
			t.Errorf("%d columns: got %q, want the setting whole", width, got)
		}
	}
}
