package inspect

import (
	"strings"
	"testing"
)

const wantText = `
ACTOR                      STATE          QUEUE    HANDLED  MSG/S  RESTARTS
node                       ● running          0          0      -         -
├─ peers                   ● running          0  1,234,567    100         -  3 peers, 0 banned
├─ conns                   ● running          3          0      -         -
│  ├─ 9c01d2e4a1b2c3d4-17  ◉ busy             0          0      -         -  outbound, agent "x\x1b]0;owned\a\u202e"
│  └─ 0011223344556677-18  ▲ stuck           40          0      -         -  in actors.Received for 12s
└─ extensions              ● running          0          0      -         -  did not answer
   └─ handler              ↺ backing_off      0          0      -         2  restarts in 4s · failed: boom\x1b[2J · 7 contained · 3 events missed
`

// testTree is the tree of testSource with what its actors say.
func testTree(t *testing.T, depth int) Tree {
	t.Helper()
	s := newSnapshot(testSource().Actors())
	h := &handler{Options: Options{Source: testSource()}}
	tree := Tree{At: t0, Actors: len(s.actors), Branches: s.roots(depth)}
	h.askLines(t.Context(), tree.Branches)
	return tree
}

func TestText(t *testing.T) {
	var b strings.Builder
	if err := Text(&b, testTree(t, -1), TextOptions{}); err != nil {
		t.Fatal(err)
	}
	if got, want := b.String(), wantText[1:]; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestTextDepthSaysWhatIsHidden(t *testing.T) {
	var b strings.Builder
	Text(&b, testTree(t, 1), TextOptions{})
	got := b.String()
	if strings.Contains(got, "handler") || !strings.Contains(got, "│  └─ … 2 more below") || !strings.Contains(got, "   └─ … 1 more below") {
		t.Errorf("got\n%s", got)
	}
}

func TestTextWidthAndColour(t *testing.T) {
	var b strings.Builder
	Text(&b, testTree(t, -1), TextOptions{Width: 40})
	for line := range strings.Lines(b.String()) {
		if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > 40 {
			t.Errorf("%q has %d characters, want at most 40", line, n)
		}
	}
	b.Reset()
	Text(&b, testTree(t, -1), TextOptions{Colour: true})
	if got := b.String(); !strings.Contains(got, "\x1b[31;1m▲ stuck\x1b[0m") || strings.Contains(got, "\x1b[2J") || strings.Contains(got, "\x1b]") {
		t.Errorf("got %q, want a red stuck and no sequence of a peer's", got)
	}
}

func TestDot(t *testing.T) {
	var b strings.Builder
	if err := Dot(&b, testTree(t, 1)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"gamelan-7f3a91c2/node" -> "gamelan-7f3a91c2/node/peers";`,
		`"gamelan-7f3a91c2/node/peers" [label="peers\nrunning\n3 peers, 0 banned", fillcolor="#ffffff"];`,
		`"gamelan-7f3a91c2/node/conns" -> "gamelan-7f3a91c2/node/conns/…";`,
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("got\n%swant a line\n%s", b.String(), want)
		}
	}
	b.Reset()
	Dot(&b, testTree(t, -1))
	if want := `agent \"x\\x1b]0;owned\\a\\u202e\"`; !strings.Contains(b.String(), want) {
		t.Errorf("got\n%swant %s in it", b.String(), want)
	}
}

func TestTreeInEveryFormat(t *testing.T) {
	h := Handler(Options{Source: testSource()})
	tree := getJSON[Tree](t, h, "/v1/tree?path=node/conns")
	if tree.Actors != 7 || len(tree.Branches) != 1 || len(tree.Branches[0].Children) != 2 || tree.Branches[0].Actor.Children != 2 {
		t.Errorf("got %+v", tree)
	}
	if _, body := get(t, h, "/v1/tree?format=text&depth=0"); !strings.Contains(body, "… 6 more below") {
		t.Errorf("text: got\n%s", body)
	}
	if _, body := get(t, h, "/v1/tree?format=dot"); !strings.HasPrefix(body, "digraph gamelan {") {
		t.Errorf("dot: got\n%s", body)
	}
}

func TestEscape(t *testing.T) {
	for in, want := range map[string]string{
		"plain":      "plain",
		"grün 日本":    "grün 日本",
		"a\nb\tc":    `a\nb\tc`,
		"\x1b[31m":   `\x1b[31m`,
		"\x7f":       `\x7f`,
		"\xff\xfe":   `\xff\xfe`,
		"\u202eabc":  `\u202eabc`,
		"\u2028":     `\u2028`,
		"\u0085":     `\u0085`,
		"it's":       "it's",
		"a'\u009b31": `a'\u009b31`,
	} {
		if got := Escape(in); got != want {
			t.Errorf("Escape(%q): got %q, want %q", in, got, want)
		}
	}
}

func TestNumber(t *testing.T) {
	for n, want := range map[uint64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := Number(n); got != want {
			t.Errorf("Number(%d): got %s, want %s", n, got, want)
		}
	}
}

func TestRatesCompareTwoReadings(t *testing.T) {
	var r rates
	read := func(after int, processed uint64, incarnation uint64) *float64 {
		a := []Actor{newActor("t", "x", func(a *Actor) { a.Processed, a.Incarnation = processed, incarnation })}
		r.fill(t0.Add(secs(after)), a)
		return a[0].Rate
	}
	if got := read(10, 50, 1); got == nil || *got != 5 {
		t.Errorf("first reading, 10 s after the start: got %v, want 5", got)
	}
	if got := read(110, 1050, 1); got == nil || *got != 10 {
		t.Errorf("100 s later: got %v, want 10", got)
	}
	if got := read(120, 1250, 1); got == nil || *got < 10.9 || *got > 11 {
		t.Errorf("10 s later: got %v, want the average since the first reading", got)
	}
	if got := read(130, 3, 1); got != nil {
		t.Errorf("a counter that went back: got %v, want none", *got)
	}
	if got := read(1000, 5000, 1); got != nil {
		t.Errorf("nothing to compare with: got %v, want none", *got)
	}
}
