package netsync

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// script is a machine with the peers that it may ask, and the clock of the script.
type script struct {
	begin, now time.Time
	step       func(time.Time, Event) []Effect
	state      func() string

	known     int
	usable    []identity.NodeID // in the order of choice
	far       []identity.NodeID // usable, and not reached lately
	connected map[identity.NodeID]bool
	sources   []Source
}

func (s *script) Known() int { return s.known }

func (s *script) Random(n int, skip func(identity.NodeID) bool) []identity.NodeID {
	return first(n, s.usable, skip)
}

func (s *script) Ready(n int) []identity.NodeID {
	ready := first(n, s.usable, func(id identity.NodeID) bool { return !s.connected[id] })
	return append(ready, first(n-len(ready), s.usable, func(id identity.NodeID) bool { return s.connected[id] })...)
}

func (s *script) Nearest(n int, skip func(identity.NodeID) bool) []identity.NodeID {
	return first(n, s.usable, func(id identity.NodeID) bool { return skip(id) || slices.Contains(s.far, id) })
}

func (s *script) Connected(id identity.NodeID) bool { return s.connected[id] }

func (s *script) Sources() []Source { return s.sources }

func first(n int, all []identity.NodeID, skip func(identity.NodeID) bool) (chosen []identity.NodeID) {
	for _, id := range all {
		if len(chosen) < n && !skip(id) {
			chosen = append(chosen, id)
		}
	}
	return chosen
}

// TestRounds runs testdata/rounds/*.txt. A command is an event, and the lines below it are
// its effects and the state after it. "new" makes a machine, with its options; "known"
// sets how many peers are known, "usable" who may be asked, in the order of choice, "far"
// who of them was not reached lately, "connected" who is connected. "at" moves the clock
// and says that it is due; times count from the start. With -rewrite the expected lines
// are written; read them.
//
// conforms: dht 118, 119, 122, 123
func TestRounds(t *testing.T) {
	datadriven.Walk(t, "testdata/rounds", func(t *testing.T, path string) {
		s := newScript()
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd == "new" {
				*s = *newScript()
				var o Options
				scanOptions(t, d, &o)
				m := NewRounds(o, s)
				s.step, s.state = m.Step, func() string { return roundsState(m, s.begin) }
				return "ready"
			}
			return s.run(t, d)
		})
	})
}

// TestBootstrap runs testdata/bootstrap/*.txt, as TestRounds does: "begin usable=N A B C"
// begins, with these seeds.
func TestBootstrap(t *testing.T) {
	datadriven.Walk(t, "testdata/bootstrap", func(t *testing.T, path string) {
		s := newScript()
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd == "new" {
				*s = *newScript()
				m := NewBootstrap()
				s.step, s.state = m.Step, func() string { return bootstrapState(m, s.begin) }
				return "ready"
			}
			return s.run(t, d)
		})
	})
}

// TestRecovery runs testdata/recovery/*.txt, as TestRounds does: "sources" lists who may be
// asked, as in "A/seed B/out C/in D/seed/out", and "ticks n=N outbound=N target=N spare=N"
// lets so many ticks pass, every 20 s, until one has effects.
//
// conforms: V 27
func TestRecovery(t *testing.T) {
	datadriven.Walk(t, "testdata/recovery", func(t *testing.T, path string) {
		s := newScript()
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd == "new" {
				*s = *newScript()
				seed := 1
				d.MaybeScanArgs(t, "seed", &seed)
				m := NewRecovery(s, rand.New(rand.NewPCG(uint64(seed), 0)))
				s.step, s.state = m.Step, func() string {
					if m.Running() {
						return "running"
					}
					return "idle"
				}
				return "ready"
			}
			return s.run(t, d)
		})
	})
}

func newScript() *script {
	begin := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	return &script{begin: begin, now: begin, connected: make(map[identity.NodeID]bool)}
}

func scanOptions(t *testing.T, d *datadriven.TestData, o *Options) {
	d.MaybeScanArgs(t, "rounds", &o.Rounds)
	d.MaybeScanArgs(t, "peers", &o.Peers)
	var delay string
	if d.MaybeScanArgs(t, "delay", &delay); delay != "" {
		o.Delay = parseTime(t, delay)
	}
}

// run applies a command.
func (s *script) run(t *testing.T, d *datadriven.TestData) string {
	var e Event
	switch d.Cmd {
	case "known":
		s.known = number(t, d.CmdArgs[0].Key)
		return "ready"
	case "usable":
		s.usable = peers(d)
		return "ready"
	case "far":
		s.far = peers(d)
		return "ready"
	case "connected":
		clear(s.connected)
		for _, id := range peers(d) {
			s.connected[id] = true
		}
		return "ready"
	case "sources":
		s.sources = nil
		for _, a := range d.CmdArgs {
			words := strings.Split(a.Key, "/")
			s.sources = append(s.sources, Source{
				Peer: peer(words[0]), Seed: slices.Contains(words, "seed"),
				Connected: slices.Contains(words, "out") || slices.Contains(words, "in"), Outbound: slices.Contains(words, "out"),
			})
		}
		return "ready"
	case "at":
		s.now = s.begin.Add(parseTime(t, d.CmdArgs[0].Key))
		if d.HasArg("quietly") {
			return "ready"
		}
		e = Due{}
	case "ticks":
		return s.ticks(t, d)
	case "online":
		e = Online{}
	case "offline":
		e = Offline{}
	case "connect":
		id := peer(d.CmdArgs[0].Key)
		s.connected[id] = true
		e = Connected{Peer: id, Node: !d.HasArg("client")}
	case "synced":
		x := Synced{For: purpose(d), Peer: peer(d.CmdArgs[0].Key), Err: scanErr(t, d)}
		d.MaybeScanArgs(t, "new", &x.New)
		d.MaybeScanArgs(t, "known", &x.Known)
		if d.HasArg("peers") {
			var names []string
			d.ScanArgs(t, "peers", &names)
			for _, name := range names {
				x.Peers = append(x.Peers, many(t, name)...)
			}
		}
		s.known += x.New
		e = x
	case "begin":
		b := Begin{}
		d.MaybeScanArgs(t, "usable", &b.Usable)
		b.Seeds = peers(d)
		e = b
	case "round":
		e = RoundWanted{}
	case "failed":
		e = Failed{Err: scanErr(t, d)}
	case "recovered":
		e = Recovered{}
	case "starved":
		e = Starved{}
	case "dialled":
		e = Dialled{Peer: peer(d.CmdArgs[0].Key), Err: scanErr(t, d)}
	case "resolved":
		e = Resolved{}
	case "restarted":
		e = Restarted{}
	default:
		t.Fatalf("unknown command %q", d.Cmd)
	}
	return s.text(s.step(s.now, e))
}

func (s *script) ticks(t *testing.T, d *datadriven.TestData) string {
	var n int
	var e Tick
	d.ScanArgs(t, "n", &n)
	d.ScanArgs(t, "outbound", &e.Outbound)
	d.ScanArgs(t, "target", &e.Target)
	d.ScanArgs(t, "spare", &e.Spare)
	for i := range n {
		s.now = s.now.Add(TickEvery)
		if list := s.step(s.now, e); len(list) > 0 {
			return fmt.Sprintf("tick %d, %v:\n", i+1, s.now.Sub(s.begin)) + s.text(list)
		}
	}
	return s.text(nil)
}

// text returns effects and the state after them. Syncs that differ only in the peer are
// one line.
func (s *script) text(list []Effect) string {
	var b strings.Builder
	lines := make(map[string]int)
	var order []string
	say := func(line, peer string) {
		if i, ok := lines[line]; ok && peer != "" {
			order[i] += " " + peer
			return
		}
		lines[line] = len(order)
		if peer != "" {
			line += ": " + peer
		}
		order = append(order, line)
	}
	for _, f := range list {
		switch f := f.(type) {
		case Sync:
			line := fmt.Sprintf("sync for %s, n=%d", f.For, f.N)
			if f.Clients {
				line += " with clients"
			}
			if f.Store > 0 {
				line += fmt.Sprintf(", storing %d", f.Store)
			}
			if f.Connected {
				line += ", connected"
			}
			say(line+fmt.Sprintf(", until %v", f.Until.Sub(s.begin)), name(f.Peer))
		case Abandon:
			say(fmt.Sprintf("abandon for %s", f.For), name(f.Peer))
		case Wake:
			say(fmt.Sprintf("wake at %v", f.At.Sub(s.begin)), "")
		case Learned:
			say(fmt.Sprintf("learned %d from %s", f.New, name(f.Peer)), "")
		case RoundEnded:
			line := fmt.Sprintf("round %d ended after %v", f.Round.Number, f.Round.Ended.Sub(f.Round.Began))
			for _, g := range f.Round.Answers {
				line += fmt.Sprintf("\n  %s %d new %d known", name(g.Peer), g.New, g.Known)
				if g.Err != nil {
					line += ", " + g.Err.Error()
				}
			}
			say(line, "")
		case Bootstrapped:
			say("bootstrapped", "")
		case Starving:
			say(fmt.Sprintf("starving: %d of %d", f.Outbound, f.Target), "")
		case Dial:
			say("dial", name(f.Peer))
		case Resolve:
			say("resolve", "")
		case Rebootstrapped:
			line := fmt.Sprintf("rebootstrapped: %d peers:", len(f.Peers))
			for _, id := range f.Peers[:min(len(f.Peers), 24)] {
				line += " " + name(id)
			}
			for _, a := range f.Answers {
				line += fmt.Sprintf("\n  %s %s %d new %d known", a.Kind, name(a.Peer), a.New, a.Known)
				if a.Err != nil {
					line += ", " + a.Err.Error()
				}
			}
			say(line, "")
		}
	}
	for _, line := range order {
		b.WriteString(line + "\n")
	}
	return b.String() + "= " + s.state() + "\n"
}

func roundsState(m *Rounds, begin time.Time) string {
	state, until := m.State()
	text := state.String()
	if !until.IsZero() {
		text += ", until " + until.Sub(begin).String()
	}
	return text
}

func bootstrapState(m *Bootstrap, begin time.Time) string {
	lines := []string{m.String()}
	for _, seed := range m.Seeds() {
		line := fmt.Sprintf("  %s: %d peers, %d tries", name(seed.Peer), seed.Peers, seed.Tries)
		if !seed.Due.IsZero() {
			line += fmt.Sprintf(", due %v", seed.Due.Sub(begin))
		}
		if seed.Err != nil {
			line += ", " + seed.Err.Error()
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// peer returns the peer of a name: a letter, or a letter and a number.
func peer(name string) identity.NodeID {
	id := identity.NodeID{name[0]}
	if name[1:] != "" {
		n, _ := strconv.Atoi(name[1:])
		id[1], id[2] = byte(n>>8)|0x80, byte(n)
	}
	return id
}

func name(id identity.NodeID) string {
	if id[1] == 0 {
		return string(rune(id[0]))
	}
	return fmt.Sprintf("%c%d", id[0], int(id[1]&0x7f)<<8|int(id[2]))
}

// many returns the peers of a name, or those of a range such as x1-x60.
func many(t *testing.T, text string) (ids []identity.NodeID) {
	from, to, found := strings.Cut(text, "-")
	if !found {
		return []identity.NodeID{peer(text)}
	}
	for n := number(t, from[1:]); n <= number(t, to[1:]); n++ {
		ids = append(ids, peer(from[:1]+strconv.Itoa(n)))
	}
	return ids
}

func peers(d *datadriven.TestData) (ids []identity.NodeID) {
	for _, a := range d.CmdArgs {
		if len(a.Vals) == 0 {
			for name := range strings.FieldsSeq(a.Key) {
				ids = append(ids, peer(name))
			}
		}
	}
	return ids
}

func purpose(d *datadriven.TestData) Purpose {
	for _, p := range []Purpose{ForConnect, ForSeed, ForRecovery} {
		if d.HasArg(strings.ReplaceAll(p.String(), " ", "-")) {
			return p
		}
	}
	return ForRound
}

func scanErr(t *testing.T, d *datadriven.TestData) error {
	var text string
	switch d.MaybeScanArgs(t, "err", &text); {
	case text == "":
		return nil
	case d.HasArg("violation"):
		return protocol.Violated("dht", protocol.BanLong, errors.New(text))
	}
	return errors.New(text)
}

func number(t *testing.T, text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func parseTime(t *testing.T, text string) time.Duration {
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
