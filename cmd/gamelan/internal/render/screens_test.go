package render

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

var update = flag.Bool("update", false, "write the screens of testdata/screens")

// screenTime is the time of all screens.
var screenTime = time.Date(2026, 11, 25, 12, 36, 47, 0, time.UTC)

func before(d time.Duration) time.Time { return screenTime.Add(-d) }

// The peers of the screens.
const (
	seedID, seedKey = "432a2ac1112223334445556667", "9c2e59a2c1d84b7a6f5d1e0b3a4c9d8e7f605142332415060718293a4b5c6d7e"
	carolKey        = bobKey
	doraID, doraKey = "22112233445566778899aabbcc", otherKey
	noNameID        = "2f996b4a1b2c3d4e5f60718293"
)

// carolID is the node id of carolKey, so that her name stands in commands.
var carolID = func() string {
	key, err := identity.ParsePublicKey(carolKey)
	if err != nil {
		panic(err)
	}
	return key.NodeID().String()
}()

// screenOn returns an output of a terminal, and what was written.
func screenOn(columns int, verbose bool) (*Output, *bytes.Buffer) {
	b := new(bytes.Buffer)
	return &Output{Out: b, Err: b, OutTerminal: true, Columns: columns, Verbose: verbose, Names: func() NamesOf {
		return NamesOf{seedID: "seed", carolID: "carol", doraID: "dora"}
	}, Keys: func(id string) string {
		return map[string]string{seedID: seedKey, carolID: carolKey, doraID: doraKey}[id]
	}}, b
}

func addressOf(addr string, c *codes.Code, ok, tried time.Duration) models.Address {
	a := models.Address{Addr: addr}
	if ok > 0 {
		a.LastOK = before(ok)
	}
	if tried > 0 {
		a.LastAttempt = before(tried)
	}
	if c != nil {
		a.LastCode, a.LastError, a.Attempts, a.Failures = c.Name, "dial "+addr+": it has failed; look", 7, 7
	}
	return a
}

// peersOnScreen are the peers of a node, and its connections.
func peersOnScreen() ([]models.Peer, []models.Connection) {
	away := func(id string, c *codes.Code, addr string, ok, tried time.Duration) models.Peer {
		return models.Peer{NodeID: id, PublicKey: strings.Repeat(id[:2], 32), Pool: "none", AddedAt: before(time.Hour), Addresses: []models.Address{addressOf(addr, c, ok, tried)}}
	}
	peers := []models.Peer{
		away(noNameID, codes.DialOtherKey, "/ip4/198.18.7.10/tcp/18189", 3*time.Minute, time.Minute),
		{NodeID: doraID, PublicKey: doraKey, EndedAt: before(8 * time.Minute), EndedWhy: "ended by peer", Addresses: []models.Address{addressOf("/ip4/198.18.7.10/tcp/18189", codes.DialRefused, 20*time.Minute, 30*time.Second)}},
		away("3f996b4a1b2c3d4e5f60718293", codes.DialNoAnswer, "/ip6/2001:db8:1:2:3:4:5:6/tcp/18189", time.Hour, time.Minute),
		away("4f996b4a1b2c3d4e5f60718293", codes.DialNoRoute, "/dns4/node.example.org/tcp/18189", 0, 5*time.Second),
		away("5f996b4a1b2c3d4e5f60718293", codes.DialTurnedAway, "/onion3/"+strings.Repeat("x", 56)+":18141", 0, time.Minute),
		{NodeID: "6f996b4a1b2c3d4e5f60718293", Pool: "none", BannedUntil: screenTime.Add(time.Hour), Addresses: []models.Address{addressOf("/ip4/203.0.113.66/tcp/1", nil, 0, 0)}},
		{NodeID: "7f996b4a1b2c3d4e5f60718293", Pool: "none"},
		{NodeID: "8f996b4a1b2c3d4e5f60718293", Pool: "none", EndedAt: before(time.Minute), EndedWhy: "no answer by network: nothing came for 30s, not even the answer to a ping; the peer is gone"},
		{NodeID: carolID, PublicKey: carolKey, UserAgent: "gamelan/0.1.0", Pool: "neighbour", Connection: new("c-2"), Addresses: []models.Address{addressOf("/ip4/192.0.2.10/tcp/18189", nil, time.Hour, 0)}},
		{NodeID: seedID, PublicKey: seedKey, UserAgent: "gamelan/0.1.0", Pool: "seed", Connection: new("c-1"), Addresses: []models.Address{addressOf("/ip4/203.0.113.10/tcp/18189", nil, time.Hour, 0), addressOf("/ip4/10.0.0.1/tcp/18189", nil, 0, 0)}},
	}
	return peers, []models.Connection{
		{Peer: carolID, Direction: "inbound", Remote: "/ip4/192.0.2.10/tcp/50912", RTTMS: 1.2, LastPongAt: before(41 * time.Second), SilentMS: 41_000, OpenedAt: before(time.Hour), AgeMS: 3_600_000},
		{Peer: seedID, Direction: "outbound", Remote: "/ip4/203.0.113.10/tcp/18189", RTTMS: 0.3, LastPongAt: before(4 * time.Second), OpenedAt: before(time.Hour), AgeMS: 3_600_000},
	}
}

// actorsOnScreen are two actors of a node.
func actorsOnScreen() []inspect.Actor {
	return []inspect.Actor{
		{ID: "g/node/conns/" + carolID + "-17", State: inspect.Running, Rate: new(1234.56), BusyPct: new(99.9), Mailbox: inspect.Mailbox{Depth: 12345, OldestAgeMS: 1234}, Processed: 123_456_789, Restarts: 2},
		{ID: "g/node/services/messaging", State: inspect.Running},
	}
}

// trafficOnScreen are connections of a node, with the widest numbers that there are.
func trafficOnScreen() []TopConn {
	return []TopConn{
		{models.Connection{Peer: seedID, Direction: "outbound", Remote: "/ip4/203.0.113.10/tcp/18189", BytesIn: 9_999_999, BytesOut: 9_999_000_000, PendingBytes: 1_048_576, RTTMS: 1234.5, AgeMS: 3_600_000}, 9_999, 123_456_789},
		{models.Connection{Peer: carolID, Direction: "inbound", Remote: "/ip6/2001:db8:1:2:3:4:5:6/tcp/50912", BytesIn: 1500, RTTMS: 0.3, AgeMS: 86_400_000 * 120}, 0.5, 0},
		{models.Connection{Peer: noNameID, Direction: "outbound", Remote: "/onion3/" + strings.Repeat("x", 56) + ":18141"}, 0, 0},
	}
}

// statusOf returns a node that is well.
func statusOf() Status {
	return Status{
		Node: models.Node{
			NodeID: seedID, PublicKey: seedKey, Network: "localnet", Version: "0.1.0", PID: 4711, StartedAt: before(26 * time.Hour),
			Status: "online", Cause: "connected to 3 nodes; no other nodes are known yet; the node connects to up to 8", Since: before(25 * time.Hour),
			Addresses: []string{"/ip4/203.0.113.7/tcp/18189"}, Held: 3, Outbound: 1, Inbound: 2, Peers: 3,
			Places: models.Places{Inbound: 2, MaxInbound: 500, MaxSetups: 100, MaxSetupRate: 120},
			Reach:  []models.Reach{{Addr: "203.0.113.7:18189", Verdict: "reachable", At: before(3 * time.Minute), Nodes: 2, Told: true}},
			Inbox:  &models.Inbox{MaxBytes: 256 << 20}, Credit: models.Credit{Limit: 256 << 20},
		},
		DHT:       &models.DHT{},
		Discovery: &models.Network{On: true, Summary: "1 of 1 seed answered; 3 peers known; 3 of 3 neighbours connected", Seeds: []models.NetworkSeed{{NodeID: seedID, AskedAt: before(9 * time.Minute), Answered: true, Connected: true}}},
		Healthy:   true, Health: models.HealthOK,
	}
}

// offlineOf returns a node that is offline for a cause, which it has tried for long or not.
func offlineOf(c *codes.Code, who, why string, long bool) Status {
	s := statusOf()
	s.Status, s.Cause, s.Since, s.Held, s.Outbound, s.Inbound, s.Reach = "offline", "connected to nobody; the last dial failed 3s ago: dial peer "+seedID+": trouble", before(40*time.Second), 0, 0, 0, nil
	what := c.Because(who, why) + ", tried 12 times"
	s.Tried = new(c.Notice(what))
	if long {
		s.Since = before(3 * time.Minute)
		n := codes.Offline.Notice("offline for 3 min: "+what, s.Since.Format(time.RFC3339), c.Name)
		n.Step = c.Step
		s.Health, s.Warnings = models.HealthDegraded, models.Notices{n}
	}
	return s
}

// whyAway returns a peer that was lost, and whose dials fail for a cause.
func whyAway(c *codes.Code, addr, why string) models.Why {
	return models.Why{
		NodeID: carolID, PublicKey: carolKey, Addresses: 1, Lost: "no answer by network: nothing came for 30s, not even the answer to a ping; the peer is gone", LostAt: before(4 * time.Minute),
		Because: new(c.Notice(c.Because(hostPort(addr), why))), Tried: 7, NextDialAt: screenTime.Add(18 * time.Second),
		Known: []models.Address{addressOf(addr, c, 4*time.Minute, 12*time.Second)}, Others: &models.WhyOthers{Reached: 1, Away: 1, Who: doraID},
		Dials: []models.WhyDial{{At: before(time.Minute), Addr: addr, Stage: "connect", Error: "dial " + addr + ": failed; look", By: "neighbours", TookMS: 1.2}, {At: before(12 * time.Second), Addr: addr, Stage: "connect", Error: "dial " + addr + ": failed; look", By: "neighbours", TookMS: 3}},
	}
}

const (
	seedAt  = "203.0.113.10:18189 (seed)"
	carolAt = "/ip4/192.0.2.10/tcp/18189"
)

// screens are what each command shows in each state.
func screens() map[string]func(*Output) error {
	all := map[string]func(*Output) error{
		"peers": func(o *Output) error {
			peers, conns := peersOnScreen()
			return Peers(o, peers, conns, screenTime)
		},
		"conns": func(o *Output) error {
			_, conns := peersOnScreen()
			return Connections(o, conns, false, screenTime)
		},
	}
	all["top actors"] = func(o *Output) error { return (&Top{Output: o, At: screenTime}).Actors(actorsOnScreen(), 42) }
	all["top peers"] = func(o *Output) error {
		conns := trafficOnScreen()
		return (&Top{Output: o, At: screenTime}).Peers([]TopPeer{
			{NodeID: seedID, PublicKey: seedKey, Connections: 1, Traffic: TrafficOf(&conns[0])},
			{NodeID: carolID, PublicKey: carolKey, Connections: 2, Traffic: TrafficOf(&conns[1])},
			{NodeID: noNameID, PublicKey: strings.Repeat("2f", 32)},
		}, 1234, 3)
	}
	for name, footer := range map[string]string{"": "", " with keys": "a actors  p peers  c connections  s sort: rate  q end"} {
		all["top conns"+name] = func(o *Output) error {
			return (&Top{Output: o, At: screenTime, Footer: footer}).Conns(trafficOnScreen(), 3)
		}
	}
	status := func(name string, s Status) {
		all["status "+name] = func(o *Output) error { return ShowStatus(o, s, screenTime) }
	}
	health := func(name string, state models.HealthState, l models.Notices) {
		all["health "+name] = func(o *Output) error { return Health(o, state, HealthText(l)) }
	}
	why := func(name string, w models.Why, x WhyOptions) {
		x.Now = screenTime
		all["why "+name] = func(o *Output) error { return Why(o, w, x) }
	}
	status("good", statusOf())
	for _, f := range []struct {
		code      *codes.Code
		addr, why string
	}{
		{codes.DialRefused, carolAt, ""},
		{codes.DialProhibited, carolAt, "a firewall at 203.0.113.1 refuses it"},
		{codes.DialNoAnswer, carolAt, ""},
		{codes.DialNoRoute, carolAt, "no route to host"},
		{codes.DialUnresolved, "/dns4/carol.example.org/tcp/18189", ""},
		{codes.DialProxy, carolAt, "connection refused"},
		{codes.DialOtherKey, carolAt, "with the key " + doraKey},
		{codes.DialForeign, carolAt, ""},
		{codes.DialMute, carolAt, ""},
		{codes.DialHungUp, carolAt, "it is busy, refuses this node, or is of another network (this node: localnet, wire byte 0x10)"},
		{codes.DialSecret, carolAt, "its secret of acme differs from this node's, or it is busy or refuses this node"},
		{codes.DialTurnedAway, carolAt, ""},
	} {
		s := offlineOf(f.code, seedAt, f.why, f.code != codes.DialRefused)
		status("offline "+f.code.Name, s)
		if f.code != codes.DialRefused {
			health("offline "+f.code.Name, models.HealthDegraded, s.Warnings)
		}
		why(f.code.Name, whyAway(f.code, f.addr, f.why), WhyOptions{DHT: true})
	}
	alone := statusOf()
	alone.Status, alone.Cause, alone.Since, alone.Reach, alone.Discovery = "offline", "connected to nobody", before(3*time.Minute), nil, nil
	alone.Warnings = models.Notices{codes.Alone.Notice("alone for 3 min: connected to nobody, and this node knows no other that it could connect to", "")}
	status("alone", alone)
	few := statusOf()
	few.Status, few.Cause, few.Since, few.Health = "degraded", "connected to 1 node, wants 3", before(5*time.Minute), models.HealthDegraded
	few.Warnings = models.Notices{codes.FewNodes.Notice("not online for 5 min: connected to 1 node, wants 3", "")}
	status("few nodes", few)
	health("few nodes", models.HealthDegraded, few.Warnings)
	full := statusOf()
	full.Health, full.Silent = models.HealthDegraded, 1
	full.Warnings = models.Notices{
		codes.DiskFull.Notice("the disk of /var/lib/gamelan is nearly full: 54 MB free, 256 MB needed", "/var/lib/gamelan", "54 MB", "256 MB"),
		codes.ClockOff.Notice("the clock of this machine is 1 h ahead of that of 5 nodes", "3600"),
	}
	full.Inbox = &models.Inbox{Messages: 8, Bytes: 1 << 20, MaxBytes: 256 << 20, OldestAt: before(5 * time.Minute)}
	status("disk full", full)
	health("disk full", models.HealthDegraded, full.Warnings[:1])
	closed := statusOf()
	closed.Reach = []models.Reach{{Addr: "203.0.113.7:18189", Verdict: "not reachable", At: before(3 * time.Minute), Nodes: 2, Told: true}}
	closed.Warnings = models.Notices{codes.NotReached.Notice("2 nodes have tried to connect to 203.0.113.7:18189, and could not", "18189")}
	status("not reached", closed)
	why("connected", models.Why{NodeID: carolID, PublicKey: carolKey, Connected: true, Since: before(time.Hour), Direction: "inbound", Remote: carolAt, Pools: []string{"neighbour"}, Protected: []string{"chat"}}, WhyOptions{DHT: true, Conn: &models.Connection{RTTMS: 0.3, LastPongAt: before(4 * time.Second)}})
	why("silent", models.Why{NodeID: carolID, PublicKey: carolKey, Connected: true, SilentMS: 24_000, Since: before(time.Hour), Direction: "inbound", Remote: carolAt}, WhyOptions{DHT: true})
	why("banned", models.Why{NodeID: carolID, PublicKey: carolKey, BannedUntil: screenTime.Add(time.Hour), BanReason: "noisy", Addresses: 1}, WhyOptions{})
	why("not admitted", models.Why{NodeID: carolID, PublicKey: carolKey, NotAdmitted: true}, WhyOptions{})
	why("no address", models.Why{NodeID: carolID, PublicKey: carolKey}, WhyOptions{})
	dialling := whyAway(codes.DialNoAnswer, carolAt, "")
	dialling.Dialling, dialling.NextDialAt = &models.WhyDialling{Since: before(3 * time.Second), Address: carolAt, By: "send"}, time.Time{}
	why("dialling", dialling, WhyOptions{DHT: true})
	all80 := whyAway(codes.DialRefused, carolAt, "")
	all80.At, all80.Purpose, all80.Missing, all80.Wanted, all80.Considered = before(time.Minute), "proactive dial", 6, 30, 3
	all80.Candidates = []models.WhyCandidate{{Rank: 1, NodeID: carolID, Score: 9.58, Parts: map[string]float64{"reached before": 10}, Chosen: true, Verdict: "chosen"}}
	why("everything", all80, WhyOptions{DHT: true, All: true})
	return all
}

// clearScreen is what the next look of top begins with.
const clearScreen = "\x1b[H\x1b[2J"

// TestScreens compares each screen with testdata/screens, on a terminal of 80 columns and, if that differs, of 140.
// No line is wider, but those that are to be copied.
func TestScreens(t *testing.T) {
	local := time.Local
	time.Local = time.UTC
	t.Cleanup(func() { time.Local = local })
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	for name, show := range screens() {
		var all strings.Builder
		for _, x := range []struct {
			columns int
			verbose bool
		}{{80, false}, {140, false}, {80, true}} {
			o, b := screenOn(x.columns, x.verbose)
			if err := show(o); err != nil {
				t.Fatal(err)
			}
			text := b.String()
			for line := range strings.Lines(text) {
				line = strings.TrimRight(strings.TrimPrefix(style.ReplaceAllString(line, ""), clearScreen), "\r\n")
				if n := utf8.RuneCountInString(line); n > x.columns && !strings.Contains(line, "gamelan ") && strings.Contains(strings.TrimSpace(line), " ") {
					t.Errorf("%s: got %d columns: %s", name, n, line)
				}
			}
			fmt.Fprintf(&all, "---- %d columns, verbose %v\n%s", x.columns, x.verbose, strings.NewReplacer(clearScreen, "<clear>", "\r\n", "<begin>\n", red, "<red>", yellow, "<yellow>", plain, "<plain>").Replace(text))
		}
		file := filepath.Join("testdata", "screens", strings.ReplaceAll(name, " ", "_")+".txt")
		if *update {
			if err := os.WriteFile(file, []byte(all.String()), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if all.String() != string(want) {
			t.Errorf("%s: got\n%s\nwant\n%s", name, &all, want)
		}
	}
}

// TestDumbTerminals: a terminal that knows no control sequences gets none, nor does one of a user that has set
// NO_COLOR, nor a pipe; a locale without other characters gets ASCII.
func TestDumbTerminals(t *testing.T) {
	for name, x := range map[string]struct {
		term, noColour, locale string
		pipe, colour, moves    bool
	}{
		"a terminal":        {term: "xterm", colour: true, moves: true},
		"a dumb one":        {term: "dumb"},
		"without colour":    {term: "xterm", noColour: "1", moves: true},
		"a pipe":            {term: "xterm", pipe: true},
		"the locale C":      {term: "xterm", locale: "C", colour: true, moves: true},
		"the locale POSIX":  {term: "xterm", locale: "POSIX", colour: true, moves: true},
		"one of UTF-8":      {term: "xterm", locale: "de_DE.UTF-8", colour: true, moves: true},
		"another one":       {term: "xterm", locale: "de_DE.ISO-8859-1", colour: true, moves: true},
		"C.UTF-8, as usual": {term: "xterm", locale: "C.utf8", colour: true, moves: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("TERM", x.term)
			t.Setenv("NO_COLOR", x.noColour)
			t.Setenv("LC_ALL", x.locale)
			t.Setenv("LC_CTYPE", "")
			t.Setenv("LANG", "")
			var all strings.Builder
			for _, show := range screens() {
				o, b := screenOn(80, false)
				o.OutTerminal = !x.pipe
				if o.Colour() != x.colour || o.Moves() != x.moves {
					t.Fatalf("got colour %v and moves %v", o.Colour(), o.Moves())
				}
				if err := show(o); err != nil {
					t.Fatal(err)
				}
				all.WriteString(b.String())
			}
			if got := strings.Contains(all.String(), clearScreen); got != x.moves {
				t.Errorf("got a screen that is cleared %v, want %v", got, x.moves)
			}
			if got := strings.Contains(strings.ReplaceAll(all.String(), clearScreen, ""), "\x1b"); got != x.colour {
				t.Errorf("got control sequences %v, want %v", got, x.colour)
			}
			ascii := x.locale != "" && !strings.Contains(strings.ToLower(x.locale), "utf")
			if got := inLocale("├─ ● …"); (got == "|- * ~") != ascii {
				t.Errorf("got %q", got)
			}
		})
	}
}
