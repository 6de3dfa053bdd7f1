package neighbours

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/gamelan-p2p/gamelan/identity"
)

// TestScripts runs testdata/*.txt. A peer is a letter; A is the nearest to this node, whose
// id is zero. A command is an event, and the lines below it are its effects. "know" and
// "forget" change the store without an event. "clock" moves the clock alone, "at" moves it
// to the time and says that it is due. "sets" shows the sets and the dials. Times count
// from the start. With -rewrite the expected lines are written; read them.
func TestScripts(t *testing.T) {
	for _, name := range []string{
		// conforms: dht 124, 127
		"start",
		// conforms: dht 124
		"keep",
		"displace",
		// conforms: dht 126
		"replace",
		// conforms: dht 126
		"redial",
		// conforms: V 26
		"backoff",
		// conforms: dht 125
		"never",
		"converge",
		// conforms: dht 127
		"random",
		"offline",
		"cooling",
		"limit",
		"others",
		"budget",
		// conforms: dht 126; V 26
		"minimise",
		"cancel",
		"order",
		"restart",
	} {
		t.Run(name, func(t *testing.T) {
			s := &script{}
			s.reset(Options{})
			datadriven.RunTest(t, "testdata/"+name+".txt", func(t *testing.T, d *datadriven.TestData) string {
				return s.run(t, d)
			})
		})
	}
}

type script struct {
	*Machine
	store *store
	now   time.Time
}

var begin = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

func (s *script) reset(o Options) {
	o.Rand = rand.New(rand.NewPCG(1, 2))
	s.store = newStore()
	s.now = begin
	s.Machine = New(identity.NodeID{}, s.store, o)
}

func (s *script) run(t *testing.T, d *datadriven.TestData) string {
	var e Event
	switch d.Cmd {
	case "new":
		var o Options
		d.MaybeScanArgs(t, "neighbours", &o.Neighbours)
		d.MaybeScanArgs(t, "random", &o.Random)
		o.Minimise = d.HasArg("minimise")
		s.reset(o)
		return "ready"
	case "know":
		for _, id := range peers(d) {
			s.store.known[id] = true
			s.store.cooling[id] = d.HasArg("cooling")
			s.store.unfit[id] = d.HasArg("unfit")
			s.store.keptOpen[id] = d.HasArg("held")
		}
		return "ready"
	case "forget":
		for _, id := range peers(d) {
			delete(s.store.known, id)
		}
		return "ready"
	case "ends": // the connection, before the machine hears of it
		for _, id := range peers(d) {
			delete(s.store.connected, id)
		}
		return "ready"
	case "again": // the machine of a restarted actor: only connections and store are left
		s.Machine = New(identity.NodeID{}, s.store, s.o)
		return "ready"
	case "clock", "at":
		after, err := time.ParseDuration(d.CmdArgs[0].Key)
		if err != nil {
			t.Fatal(err)
		}
		s.now = begin.Add(after)
		if e = (Due{}); d.Cmd == "clock" {
			return "ready"
		}
	case "sets":
		return s.sets()
	case "start":
		e = Start{}
		if len(d.CmdArgs) > 0 {
			e = Start{Drawn: peers(d)}
		}
	case "connected":
		var b strings.Builder
		for _, id := range peers(d) {
			s.store.connected[id] = true
			b.WriteString(text(s.Step(s.now, Connected{id, d.HasArg("out")})))
		}
		return orNothing(b.String())
	case "disconnected":
		why := Lost
		if d.HasArg("left") {
			why = Left
		} else if d.HasArg("closed") {
			why = Closed
		} else if d.HasArg("unneeded") {
			why = Unneeded
		}
		var b strings.Builder
		for _, id := range peers(d) {
			if !d.HasArg("replaced") {
				delete(s.store.connected, id)
			}
			b.WriteString(text(s.Step(s.now, Disconnected{id, why})))
		}
		return orNothing(b.String())
	case "dialled": // with "ok" the connection is there
		var b strings.Builder
		for _, id := range peers(d) {
			x := Dialled{Peer: id}
			switch {
			case d.HasArg("ok"):
				s.store.connected[id] = true
				b.WriteString(text(s.Step(s.now, Connected{id, true})))
			case d.HasArg("early"): // Connected comes later
				s.store.connected[id] = true
			case !d.HasArg("gone"):
				x.Err = errors.New("unreachable")
			}
			b.WriteString(text(s.Step(s.now, x)))
		}
		return orNothing(b.String())
	case "failed":
		e = Failed{peers(d)[0]}
	case "learned":
		e = Learned{}
	case "online":
		e = Online{}
	case "offline":
		e = Offline{}
	default:
		t.Fatalf("unknown command %q", d.Cmd)
	}
	return orNothing(text(s.Step(s.now, e)))
}

func (s *script) sets() string {
	st := s.State()
	var b strings.Builder
	list := func(title string, l []Member) {
		fmt.Fprintf(&b, "%s:", title)
		for _, x := range l {
			b.WriteString(" " + name(x.Peer))
			if x.Outbound {
				b.WriteString("+")
			}
			if x.Drawn {
				b.WriteString("*")
			}
		}
		b.WriteString("\n")
	}
	list("near", st.Neighbours)
	list("random", st.Random)
	for _, x := range st.Dials {
		fmt.Fprintf(&b, "dialling %s, %s\n", name(x.Peer), x.For)
	}
	if st.Returning > 0 {
		fmt.Fprintf(&b, "returning: %d\n", st.Returning)
	}
	fmt.Fprintf(&b, "others: %d, resting: %d\n", st.Others, st.Resting)
	return b.String()
}

// peers returns the peers of a command: each letter of its first argument.
func peers(d *datadriven.TestData) (list []identity.NodeID) {
	for i := range len(d.CmdArgs[0].Key) {
		list = append(list, identity.NodeID{d.CmdArgs[0].Key[i]})
	}
	return list
}

func name(id identity.NodeID) string { return string(rune(id[0])) }

func names(list []identity.NodeID) (s string) {
	for _, id := range list {
		s += name(id)
	}
	return s
}

func orNothing(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}

func text(list []Effect) string {
	var b strings.Builder
	for _, f := range list {
		switch f := f.(type) {
		case Dial:
			fmt.Fprintf(&b, "dial %s, %s\n", name(f.Peer), f.For)
		case Cancel:
			fmt.Fprintf(&b, "cancel %s\n", name(f.Peer))
		case Keep:
			fmt.Fprintf(&b, "keep %s, %s\n", names(f.Neighbours), names(f.Random))
		case Close:
			fmt.Fprintf(&b, "close %s\n", name(f.Peer))
		case Wake:
			fmt.Fprintf(&b, "wake at %v\n", f.At.Sub(begin).Round(time.Millisecond))
		}
	}
	return b.String()
}

// store is a View over sets of peers.
type store struct{ known, cooling, unfit, keptOpen, connected map[identity.NodeID]bool }

func newStore() *store {
	set := func() map[identity.NodeID]bool { return make(map[identity.NodeID]bool) }
	return &store{set(), set(), set(), set(), set()}
}

func (s *store) Closest(target identity.NodeID, n int, ok func(identity.NodeID, bool) bool) (found []identity.NodeID) {
	var all []identity.NodeID
	for id := range s.known {
		all = append(all, id)
	}
	slices.SortFunc(all, func(a, b identity.NodeID) int { return target.Distance(a).Cmp(target.Distance(b)) })
	for _, id := range all {
		if len(found) < n && !s.unfit[id] && ok(id, s.cooling[id]) {
			found = append(found, id)
		}
	}
	return found
}

func (s *store) Eligible(id identity.NodeID) bool  { return !s.unfit[id] }
func (s *store) Connected(id identity.NodeID) bool { return s.connected[id] }
func (s *store) KeptOpen(id identity.NodeID) bool  { return s.keptOpen[id] }
