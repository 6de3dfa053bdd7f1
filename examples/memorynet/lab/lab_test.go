package lab

import (
	"bytes"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// TestOrdered gives each copy of a Join its hops, and finds the copies that came second.
func TestOrdered(t *testing.T) {
	const newcomer = 4
	at := func(ms int, a Action, from, to int) Step {
		return Step{At: time.Duration(ms) * time.Millisecond, Action: a, From: from, To: to}
	}
	got := ordered([]Step{
		at(0, Connected, newcomer, 0),
		at(9, ToldAgain, 1, 2),
		at(1, Told, newcomer, 0),
		at(3, Told, 0, 1),
		at(5, Told, 1, 2),
		at(7, Told, 2, newcomer), // its own Join comes back
		at(4, Told, 0, 3),
	}, newcomer)
	want := []Step{
		{At: 0, Action: Connected, From: newcomer, To: 0},
		{At: 1, Action: Told, From: newcomer, To: 0, Hops: 1},
		{At: 3, Action: Told, From: 0, To: 1, Hops: 2},
		{At: 4, Action: Told, From: 0, To: 3, Hops: 2},
		{At: 5, Action: Told, From: 1, To: 2, Hops: 3},
		{At: 7, Action: ToldAgain, From: 2, To: newcomer, Hops: 4},
		{At: 9, Action: ToldAgain, From: 1, To: 2, Hops: 3},
	}
	for i := range want {
		want[i].At *= time.Millisecond
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%v, want\n%v", got, want)
	}
	members, hops, copies := reach(got)
	if members != 4 || hops != 3 || copies != 2 {
		t.Errorf("got %d members, %d hops, %d copies, want 4, 3, 2", members, hops, copies)
	}
}

// TestTraceWithoutEvents ends a trace before the events of two connections were read: the
// steps have both, and no connection twice.
func TestTraceWithoutEvents(t *testing.T) {
	l := example(t, 5, 1).Lab
	const newcomer = 5
	l.log.trace(newcomer)
	conn := func(i int, d protocol.Direction) *gamelan.Connection {
		return &gamelan.Connection{Peer: l.Members[i].ID, Direction: d, Since: time.Now()}
	}
	heard, ended, inbound, outbound := conn(1, protocol.Outbound), conn(2, protocol.Outbound), conn(3, protocol.Inbound), conn(2, protocol.Outbound)
	l.log.event(newcomer, actors.PeerConnected{Peer: heard.Peer, Conn: heard})
	l.log.event(newcomer, actors.PeerConnected{Peer: ended.Peer, Conn: ended})
	l.log.event(newcomer, actors.PeerDisconnected{Peer: ended.Peer, Conn: ended})
	got := make(map[[2]int]int)
	for _, s := range l.log.traceEnd([]*gamelan.Connection{heard, inbound, outbound}) {
		if s.Action == Connected {
			got[[2]int{s.From, s.To}]++
		}
	}
	if want := map[[2]int]int{{newcomer, 1}: 1, {newcomer, 2}: 2, {3, newcomer}: 1}; !maps.Equal(got, want) {
		t.Errorf("got connections %v, want %v", got, want)
	}
}

// example returns the report of a network that never ran.
func example(t *testing.T, nodes, wallets int) *Report {
	t.Helper()
	l, err := New(Config{Nodes: nodes, Wallets: wallets, Random: 7})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	r := &Report{
		Lab: l, Graph: Graph{Neighbours: make([][]int, len(l.Members))},
		Phases: []Phase{{Name: "join", Result: "all <joined>", OK: true, Took: time.Second}, {Name: "newcomer", Result: "nobody heard of it", Messages: 12}},
	}
	for i := range nodes {
		for _, step := range []int{1, 3, 5} {
			r.Graph.Links = append(r.Graph.Links, [2]int{i, (i + step) % nodes})
			r.Graph.Neighbours[i] = append(r.Graph.Neighbours[i], (i+step)%nodes)
		}
	}
	r.Graph.Neighbours[nodes] = []int{1, 2, 3}
	steps := []Step{
		{Action: Connected, From: nodes, To: 0},
		{At: time.Millisecond, Action: Told, From: nodes, To: 0},
		{At: 2 * time.Millisecond, Action: Learned, From: nodes, To: nodes, Count: nodes - 1},
	}
	for i := 1; i < nodes; i++ {
		steps = append(steps, Step{At: time.Duration(2+i) * time.Millisecond, Action: Told, From: (i - 1) / 2, To: i})
		steps = append(steps, Step{At: time.Duration(3+i) * time.Millisecond, Action: Connected, From: nodes, To: i})
	}
	r.Steps = ordered(steps, nodes)
	return r
}

// TestIdentities shows that the number alone decides the identities.
func TestIdentities(t *testing.T) {
	a, b := example(t, 5, 1).Lab, example(t, 5, 1).Lab
	for i := range a.Members {
		if a.Members[i].ID != b.Members[i].ID {
			t.Errorf("%s: got %s and %s, want the same", a.Members[i].Name, a.Members[i].ID, b.Members[i].ID)
		}
	}
	c, err := New(Config{Nodes: 5, Wallets: 1, Random: 8})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if a.Members[3].ID == c.Members[3].ID {
		t.Errorf("got %s for two numbers, want two ids", a.Members[3].ID)
	}
}

// TestPage reads the page: everything is drawn, nothing is fetched, and text is escaped.
func TestPage(t *testing.T) {
	r := example(t, 12, 2)
	page, err := r.Page()
	if err != nil {
		t.Fatal(err)
	}
	for part, want := range map[string]int{
		`<g class="dot`: 15, `<g class="dot wallet"`: 2, `<g class="dot seed"`: 1, `<g class="dot newcomer"`: 1,
		`<path class="link" d=`: 12*3 + 1, // 1 in the legend
		`"action":"told"`:       12, `"action":"connected"`: 12,
		"all &lt;joined&gt;": 1, "Goal missed:": 1,
	} {
		if got := bytes.Count(page, []byte(part)); got != want {
			t.Errorf("got %d of %s, want %d", got, part, want)
		}
	}
	if outside := regexp.MustCompile(`(?i)(src|href)=|@import|url\(|fetch\(`).Find(page); outside != nil {
		t.Errorf("got %q in the page, want nothing that is fetched", outside)
	}
	rest := strings.ReplaceAll(string(page), "http://www.w3.org/2000/svg", "")
	if strings.Contains(rest, "http") {
		t.Error("got an address in the page, want none but SVG's namespace")
	}
}

// TestText says which phase missed its goal.
func TestText(t *testing.T) {
	r := example(t, 5, 1)
	var text strings.Builder
	if err := r.Text(&text); err != nil {
		t.Fatal(err)
	}
	want := "" +
		"phase             time  messages  result\n" +
		"join            1.00 s         0  all <joined>\n" +
		"newcomer        0.00 s        12  GOAL MISSED: nobody heard of it\n" +
		"all             1.00 s        12\n"
	if text.String() != want || r.OK() {
		t.Errorf("got\n%s and %v, want\n%s and false", &text, r.OK(), want)
	}
}

func TestConfig(t *testing.T) {
	for _, c := range []Config{{}, {Nodes: 2}, {Nodes: Most + 1}, {Nodes: 3, Wallets: -1}} {
		if _, err := New(c); err == nil {
			t.Errorf("%d nodes, %d wallets: got no error", c.Nodes, c.Wallets)
		}
	}
}
