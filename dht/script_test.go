package dht_test

import (
	"cmp"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
)

func scriptPeer(name string) (id identity.NodeID) {
	copy(id[:], name)
	return id
}

// clock is the time of a script: "clock 90s" sets it, from the script's start.
type clock struct{ begin, now time.Time }

func newClock() *clock {
	begin := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	return &clock{begin, begin}
}

func (c *clock) set(t *testing.T, d *datadriven.TestData) string {
	offset, err := time.ParseDuration(d.CmdArgs[0].Key)
	if err != nil {
		t.Fatal(err)
	}
	c.now = c.begin.Add(offset)
	return "ready"
}

// TestFloodScript runs testdata/flood.txt on a meter: "new limit=N" begins anew,
// "count A times=N" counts messages of A, "peers" says how many are remembered.
// "hand-on PEER n=N" asks how many of that many messages may be judged, and
// "judged PEER times=N count" judges them, with count ones that nobody took; "over
// PEER" asks whether that put it over the limit, "forgive PEER" lifts its ban.
// With -rewrite the expected lines are written; read them.
//
// conforms: dht 129; V 28
func TestFloodScript(t *testing.T) {
	c, f := newClock(), dht.NewFloodMeter(0)
	var woken []string
	wakes := func(i int) (out string) {
		for _, w := range woken {
			out += fmt.Sprintf("message %d wakes %s\n", i, w)
		}
		woken = nil
		return out
	}
	datadriven.RunTest(t, "testdata/flood.txt", func(t *testing.T, d *datadriven.TestData) string {
		switch d.Cmd {
		case "new":
			limit := 0
			d.ScanArgs(t, "limit", &limit)
			c, f = newClock(), dht.NewFloodMeter(limit)
			return "ready"
		case "clock":
			return c.set(t, d)
		case "count":
			times, out := 1, ""
			d.MaybeScanArgs(t, "times", &times)
			for i := range times {
				if v := f.Count(c.now, scriptPeer(d.CmdArgs[0].Key)); v != nil {
					out += fmt.Sprintf("message %d: ban of %v: %v\n", i+1, v.Ban, v.Err)
				}
			}
			if out == "" {
				return "fine"
			}
			return out
		case "hand-on":
			peer, n := d.CmdArgs[0].Key, 1
			d.MaybeScanArgs(t, "n", &n)
			m := f.HandOn(c.now, scriptPeer(peer), n, d.HasArg("exempt"), func() { woken = append(woken, peer) })
			if m == 0 {
				return "wait"
			}
			return fmt.Sprint(m)
		case "over":
			return fmt.Sprint(f.Over(c.now, scriptPeer(d.CmdArgs[0].Key)))
		case "judged":
			times, out := 1, ""
			d.MaybeScanArgs(t, "times", &times)
			for i := range times {
				peer := scriptPeer(d.CmdArgs[0].Key)
				if d.HasArg("count") {
					if v := f.Count(c.now, peer); v != nil {
						out += fmt.Sprintf("message %d: ban of %v\n", i+1, v.Ban)
					}
				}
				f.Judged(peer)
				out += wakes(i + 1)
			}
			return cmp.Or(out, "fine")
		case "forgive":
			f.Forgive(scriptPeer(d.CmdArgs[0].Key))
			return cmp.Or(wakes(0), "forgiven")
		case "peers":
			return fmt.Sprint(f.Stats().Peers)
		}
		t.Fatalf("unknown command %q", d.Cmd)
		return ""
	})
}

// TestFloodMeterIsBounded has more peers heard of in one second than are
// remembered.
func TestFloodMeterIsBounded(t *testing.T) {
	f := dht.NewFloodMeter(1)
	now := time.Unix(0, 0)
	for i := range 20_000 {
		f.Count(now, scriptPeer(fmt.Sprint(i)))
	}
	if got := f.Stats().Peers; got != 4096 {
		t.Errorf("got %d peers, want 4096", got)
	}
	if f.Count(now, scriptPeer("19999")) == nil {
		t.Error("got the last peer forgotten, want those heard of first")
	}
	f.Count(now.Add(time.Minute), scriptPeer("A"))
	if got := f.Stats().Peers; got != 1 {
		t.Errorf("got %d peers after a minute of silence, want the one that came then", got)
	}
}

// backlogScript is a Backlog and what its handlers hold.
type backlogScript struct {
	*clock
	b     *dht.Backlog[string]
	work  map[string]*dht.Work
	given map[string]*dht.Held // by message
	cost  map[string]int64
	n     int

	freed func(dht.Holder)
}

func newBacklogScript(credit int64) *backlogScript {
	s := &backlogScript{
		clock: newClock(), work: make(map[string]*dht.Work),
		given: make(map[string]*dht.Held), cost: make(map[string]int64),
	}
	s.b = dht.NewBacklog[string](credit, func(by dht.Holder) { s.freed(by) })
	return s
}

// TestBacklogScripts runs testdata/backlog-*.txt: "new credit=N" begins anew,
// "add A 7 cost=N times=N" adds messages of A for type 7, named m1, m2, … in
// order, or for others with "add A others", "finish m1 m2" has handlers finish them, and what waits is resumed
// unless "asleep" is given; "look" is what Next asks for. "replace 7" is a new
// handler of the type.
func TestBacklogScripts(t *testing.T) {
	for _, name := range []string{
		// conforms: V 13
		"stuck",
		"slow",
		"several",
		"replaced",
		"others",
	} {
		t.Run(name, func(t *testing.T) {
			var s *backlogScript
			datadriven.RunTest(t, "testdata/backlog-"+name+".txt", func(t *testing.T, d *datadriven.TestData) string {
				if d.Cmd == "new" {
					credit := 0
					d.ScanArgs(t, "credit", &credit)
					s = newBacklogScript(int64(credit))
					return "ready"
				}
				out := s.run(t, d)
				if n, _ := s.b.Waiting(); n > 0 {
					out += fmt.Sprintf("%d waiting\n", n)
				}
				if out == "" {
					return "nothing"
				}
				return out
			})
		})
	}
}

func (s *backlogScript) run(t *testing.T, d *datadriven.TestData) (out string) {
	switch d.Cmd {
	case "clock":
		s.set(t, d)
	case "add":
		times, cost := 1, 0
		d.ScanArgs(t, "cost", &cost)
		d.MaybeScanArgs(t, "times", &times)
		for range times {
			out += s.add(t, d.CmdArgs[0].Key, d.CmdArgs[1].Key, int64(cost))
		}
	case "finish":
		for _, arg := range d.CmdArgs {
			if arg.Key == "asleep" {
				continue
			}
			held := s.given[arg.Key]
			if held == nil {
				t.Fatalf("no handler has %s", arg.Key)
			}
			delete(s.given, arg.Key)
			s.freed = func(by dht.Holder) {
				out += "freed\n"
				if !d.HasArg("asleep") {
					out += s.released(s.b.Resume(s.now, by))
				}
			}
			held.Finish(s.cost[arg.Key])
		}
	case "look":
		if next, ok := s.b.Next(s.now); ok {
			out = fmt.Sprintf("at %v again\n", next.Sub(s.begin))
		}
		out += s.released(s.b.Look(s.now))
		for _, kind := range s.b.Stuck(s.now) {
			out += fmt.Sprintf("%d is stuck\n", kind)
		}
	case "replace":
		delete(s.work, d.CmdArgs[0].Key)
	case "clear":
		out = s.released(s.b.Clear())
	default:
		t.Fatalf("unknown command %q", d.Cmd)
	}
	return out
}

func (s *backlogScript) add(t *testing.T, peer, kind string, cost int64) string {
	if kind == "others" {
		s.n++
		m := fmt.Sprintf("m%d", s.n)
		s.cost[m] = cost
		fate, held := s.b.AddRelay(s.now, scriptPeer(peer), cost, m)
		s.given[m] = held
		return fmt.Sprintf("%s %s\n", m, fateName(fate))
	}
	var number int32
	if _, err := fmt.Sscan(kind, &number); err != nil {
		t.Fatal(err)
	}
	if s.work[kind] == nil {
		s.work[kind] = new(dht.Work)
	}
	s.n++
	m := fmt.Sprintf("m%d", s.n)
	s.cost[m] = cost
	fate, held := s.b.Add(s.now, scriptPeer(peer), number, s.work[kind], cost, m)
	s.given[m] = held
	return fmt.Sprintf("%s %s\n", m, fateName(fate))
}

func (s *backlogScript) released(all []dht.Released[string]) string {
	var out strings.Builder
	for _, r := range all {
		s.given[r.Message] = r.Held
		fmt.Fprintf(&out, "%s %s\n", r.Message, fateName(r.Fate))
	}
	return out.String()
}

func fateName(f dht.Fate) string {
	return map[dht.Fate]string{dht.FateGive: "given", dht.FateWait: "waits", dht.FateDrop: "dropped"}[f]
}

// TestBacklogsOfOneHandler share its Work: messages that one backlog gives count for the
// others too.
func TestBacklogsOfOneHandler(t *testing.T) {
	var work dht.Work
	now := time.Unix(1e9, 0)
	free := func(dht.Holder) {}
	a, b := dht.NewBacklog[string](1000, free), dht.NewBacklog[string](1000, free)
	_, held := a.Add(now, scriptPeer("A"), 7, &work, 100, "first")
	held.Finish(100)
	if got := a.Stuck(now); len(got) != 0 {
		t.Errorf("idle: got %v stuck, want none", got)
	}
	now = now.Add(time.Hour)
	_, held = b.Add(now, scriptPeer("B"), 7, &work, 100, "second")
	if got := a.Stuck(now); len(got) != 0 {
		t.Errorf("just begun elsewhere: got %v stuck, want none", got)
	}
	now = now.Add(dht.StuckAfter)
	if got := a.Stuck(now); len(got) != 1 {
		t.Errorf("ten seconds later: got %v stuck, want the type", got)
	}
	held.Finish(100)
	if got := a.Stuck(now); len(got) != 0 || work.Holding() != 0 {
		t.Errorf("finished elsewhere: got %v stuck, %d held, want none", got, work.Holding())
	}
}

// TestBacklogForgets peers of which nothing is held.
func TestBacklogForgets(t *testing.T) {
	var work dht.Work
	now := time.Unix(1e9, 0)
	b := dht.NewBacklog[string](1000, func(dht.Holder) {})
	var kept []*dht.Held
	for i := range 10_000 {
		_, held := b.Add(now, scriptPeer(fmt.Sprint(i)), 7, &work, 100, "")
		if i%1000 == 0 {
			kept = append(kept, held)
		} else {
			held.Finish(100)
		}
	}
	if got := b.Len(); got > 200 {
		t.Errorf("got %d peers remembered, want about as many as there are messages held, %d", got, len(kept))
	}
	for _, held := range kept {
		held.Finish(100)
	}
	if got := work.Holding(); got != 0 {
		t.Errorf("got %d messages held, want none", got)
	}
}
