package connpool

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/transport/dial"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// This file enumerates what can happen when two nodes dial each other: every
// order of every event, breadth first, each state of the world once. A node of
// ours is the table of this package and the scheduler of package dial, with a
// message to send; what lies between the two, and the way of a connection
// through set-up, pings and end, is modelled here. A step is anything that can
// be overtaken by something else.

// maxDials is how often each node can dial.
const maxDials = 2

// stage is how far one end of a connection is.
type stage uint8

const (
	absent     stage = iota
	connecting       // only at the dialler
	shaking
	up      // set up; whoever decides has not seen it yet
	adopted // in the table, or in the pool of a Rust node
	retired // to be closed when what is written on it was heard
	closing // to be closed; still answers
	gone
)

// alive reports whether the end answers pings and takes what is sent.
func (s stage) alive() bool { return s == up || s == adopted || s == retired || s == closing }

// works reports whether the node of the end writes and reads messages on it.
func (s stage) works() bool { return s == adopted || s == retired }

// line is one connection. Its two ends are those of the nodes 0 and 1.
type line struct {
	end    [2]stage
	ping   [2]uint8 // mark of the ping under way, by who sent it; 0: none
	pong   [2]bool  // … was answered
	next   [2]uint8 // mark of the next one
	cut    bool     // by the network
	cancel bool     // the dial is not wanted any more
	result bool     // Rust: the dial is over, and its dialler has not seen that
}

// message is where the message of a node stands.
type message uint8

const (
	unsent  message = iota // not accepted yet
	dialing                // waits for the answer of the dialler
	writing                // is being written on a connection
	heard
	refused // with an error, after a disconnect or a cut
)

// wish is the state of the scheduler.
type wish struct {
	any    bool
	state  dial.State
	wanted bool
	tries  int
}

// node is one of ours.
type node struct {
	pair    pair[int8]
	live    int8 // in the directory; -1: none
	told    bool // that there is a connection; the dialler has not heard it yet
	wish    wish
	dials   int8
	message message
	again   bool // the dialler was asked once more
	failed  bool // an attempt has failed
	on      int8 // the message is written on this line
	left    bool // has been told to disconnect
}

// world is all there is. Worlds that are equal have the same future.
type world struct {
	lines [2 * maxDials]line // first those that node 0 dials
	nodes [2]node
	rust  rust // instead of node 1
	cuts  uint8
}

// state is a world with what is needed to go on from it: a scheduler cannot be
// copied, but repeats itself when it hears the same again.
type state struct {
	world
	*model
	heard [2][]dial.Event
	from  *state
	what  event
}

// event says what has led to a state.
type event struct {
	text string
	args []any
}

// way returns what has led to a state from the beginning.
func (s *state) way() string {
	if s.from == nil {
		return ""
	}
	return s.from.way() + fmt.Sprintf(s.what.text, s.what.args...) + "; "
}

// model is what may happen.
type model struct {
	t       *testing.T
	ids     [2]identity.NodeID
	rust    bool // node 1 is a Rust node
	asks    int8 // how often that asks for a connection, if its dial is cancelled
	hasty   bool // the loser is closed without a proof of the winner
	abrupt  bool // … and without one of what was written on it
	cuts    uint8
	leaves  bool // node 0 disconnects once
	broken  map[string]int
	endings map[string]int
	states  int
}

// explore visits every world.
func (m *model) explore() {
	m.broken, m.endings = make(map[string]int), make(map[string]int)
	first := state{model: m}
	for i := range first.nodes {
		first.nodes[i].live, first.nodes[i].on = -1, -1
		first.nodes[i].pair.favoured = favoured(m.ids[i], m.ids[1-i])
	}
	first.world.rust.pending, first.world.rust.pool = -1, -1
	seen := map[world]bool{first.world: true}
	for queue := []*state{&first}; len(queue) > 0; queue = queue[1:] {
		s := queue[0]
		m.states++
		next := s.next()
		if len(next) == 0 {
			m.ending(s)
		}
		for _, n := range next {
			if !seen[n.world] {
				seen[n.world] = true
				queue = append(queue, n)
			}
		}
	}
}

// fail notes a fault with the first way that leads to it, which is a shortest.
func (s *state) fail(format string, args ...any) {
	what := fmt.Sprintf(format, args...)
	if s.broken[what]++; s.broken[what] == 1 && !s.hasty && !s.abrupt {
		s.t.Errorf("%s, after: %s", what, s.way())
	}
}

// ending looks at a world in which nothing more can happen.
func (m *model) ending(s *state) {
	var left []int8
	for i, l := range s.lines {
		switch a, b := l.end[0], l.end[1]; {
		case a == adopted && b == adopted:
			left = append(left, int8(i))
		case (a == gone || a == absent) && (b == gone || b == absent):
		default:
			s.fail("line %d ends as %d and %d", i, a, b)
		}
	}
	want := 1
	if m.leaves && s.nodes[0].left || s.world.cuts > 0 {
		want = len(left) // may have been the only one
	}
	if len(left) != want || len(left) > 1 {
		s.fail("%d connections left", len(left))
	}
	live := int8(-1)
	if len(left) > 0 {
		live = left[0]
	}
	for i := range m.ours() {
		n := &s.nodes[i]
		if n.live != live {
			s.fail("node %d is left with %d of %v", i, n.live, left)
		}
		if n.message != heard && n.message != refused {
			s.fail("the message of node %d is lost: %d", i, n.message)
		}
		if n.wish.any {
			s.fail("the dialler of node %d is left with a wish", i)
		}
	}
	if m.rust && (s.world.rust.pool != live || live >= 0 && !s.world.rust.connected) {
		s.fail("the Rust node is left with %d of %v", s.world.rust.pool, left)
	}
	switch {
	case live < 0:
		m.endings["none"]++
	case live < maxDials:
		m.endings["dialled by 0"]++
	default:
		m.endings["dialled by 1"]++
	}
}

// ours is how many nodes are ours.
func (m *model) ours() int {
	if m.rust {
		return 1
	}
	return 2
}

// next returns what can come of a state.
func (s *state) next() (all []*state) {
	can := func(ok bool, do func(*state), what string, args ...any) {
		if !ok {
			return
		}
		n := *s
		n.from, n.what = s, event{what, args}
		do(&n)
		n.check()
		n.forget()
		all = append(all, &n)
	}
	for i := range s.lines {
		s.nextOfLine(i, can)
	}
	for i := range s.ours() {
		n := s.nodes[i]
		can(n.message == unsent, func(s *state) { s.send(i) }, "%d sends", i)
		can(n.told, func(s *state) {
			s.nodes[i].told = false
			s.schedule(i, dial.Connected{Peer: s.ids[1-i]})
		}, "the dialler of %d hears of the connection", i)
		can(s.leaves && i == 0 && !n.left && n.live >= 0, func(s *state) {
			n := &s.nodes[i]
			n.left = true
			d, _ := n.pair.live()
			live := n.pair.links[d].conn
			s.carry(i, n.pair.leave())
			s.close(i, live)
			for k := range s.lines { // the losers go with it
				if s.lines[k].end[i] == retired {
					s.close(i, int8(k))
				}
			}
		}, "%d disconnects", i)
	}
	if s.model.rust {
		s.nextOfRust(can)
	}
	return all
}

type option func(ok bool, do func(*state), what string, args ...any)

// nextOfLine is what can happen to one connection.
func (s *state) nextOfLine(i int, can option) {
	l := s.lines[i]
	dialler := i / maxDials
	for at := range 2 {
		here, there := l.end[at], l.end[1-at]
		ours := at < s.ours()
		broken := there == gone || l.cut
		set := func(to stage) func(*state) { return func(s *state) { s.lines[i].end[at] = to } }

		// The set-up. An end may have all it needs before the other one goes.
		can(here == connecting && !l.cut && (!s.model.rust || i%maxDials == 0 || at == rustAt || !s.halfway()), func(s *state) {
			s.lines[i].end = [2]stage{shaking, shaking}
		}, "%d begins the set-up of %d", at, i)
		can(here == connecting && (l.cancel || l.cut), func(s *state) { s.setupEnds(i, at, gone) }, "%d gives %d up", at, i)
		can(here == shaking && !l.cut, func(s *state) { s.setupEnds(i, at, up) }, "%d has set %d up", at, i)
		can(here == shaking && broken, func(s *state) { s.setupEnds(i, at, gone) }, "%d hears the end of %d in the set-up", at, i)
		can(here == shaking && !ours && at == dialler && l.cancel, func(s *state) { s.setupEnds(i, at, gone) }, "%d gives %d up in the set-up", at, i)

		// Its life.
		can((here.works() || here == closing || here == up && !ours) && l.ping[1-at] != 0 && !l.pong[1-at], func(s *state) { s.lines[i].pong[1-at] = true }, "%d answers a ping on %d", at, i)
		can(here == closing, set(gone), "%d closes %d", at, i)
		if !ours {
			can(here.alive() && broken, set(gone), "%d hears the end of %d", at, i)
			continue
		}
		can(here == up, func(s *state) { s.adopt(i, at) }, "%d adopts %d", at, i)
		can(here == adopted && l.pong[at], func(s *state) {
			l := &s.lines[i]
			mark := l.ping[at]
			l.ping[at], l.pong[at], l.next[at] = l.next[at], false, 0
			s.carry(at, s.nodes[at].pair.proven(int8(i), uint64(mark)))
		}, "%d hears a pong on %d", at, i)
		can(here == retired && s.quiet(i), set(gone), "%d closes %d, which is quiet", at, i)
		can(here.works() && broken, func(s *state) {
			s.lines[i].end[at] = gone
			s.carry(at, s.nodes[at].pair.end(int8(i)))
			s.lost(at, i)
		}, "%d hears the end of %d", at, i)
		can(here == gone && s.nodes[at].pair.has(int8(i)), func(s *state) {
			s.carry(at, s.nodes[at].pair.end(int8(i)))
		}, "%d has closed %d", at, i)
		n := s.nodes[at]
		can(n.message == writing && n.on == int8(i) && here.works() && (there.works() || there == up && s.model.rust) && !l.cut, func(s *state) {
			s.nodes[at].message, s.nodes[at].on = heard, -1
		}, "%d is heard on %d", at, i)
		can(n.message == writing && n.on == int8(i) && here == gone, func(s *state) { s.lost(at, i) }, "%d writes on %d in vain", at, i)
	}
	can(s.world.cuts < s.model.cuts && !l.cut && (l.end[0] != absent || l.end[1] != absent) && (l.end[0] != gone || l.end[1] != gone), func(s *state) {
		s.world.cuts++
		s.lines[i].cut = true
	}, "%d is cut", i)
}

// quiet reports whether nothing is being written on a connection. One with a Rust
// node is not waited for: it may stay as it is until the limit.
func (s *state) quiet(i int) bool {
	for at := range s.ours() {
		if n := s.nodes[at]; n.message == writing && n.on == int8(i) && !s.model.rust {
			return false
		}
	}
	return true
}

// halfway reports whether a connection is set up, or over, at one end and not
// yet at the other, which lacks nothing but the time to read what was sent; or
// set up here and not adopted yet. A second dial of ours comes after that: it
// needs three round trips. One of a Rust node may overtake it.
func (s *state) halfway() bool {
	for _, l := range s.lines {
		if (l.end[0] == shaking) != (l.end[1] == shaking) || l.end[0] == up {
			return true
		}
	}
	return false
}

func (p *pair[C]) has(conn C) bool {
	return p.links[0].is(conn) || p.links[1].is(conn)
}

// setupEnds is the end of a set-up at one end.
func (s *state) setupEnds(i, at int, to stage) {
	s.lines[i].end[at] = to
	dialled := at == i/maxDials
	switch {
	case at >= s.ours():
		s.rustSetUp(i, to)
	case dialled && to == up:
		s.schedule(at, dial.Dialled{Peer: s.ids[1-at]})
	case dialled:
		s.schedule(at, dial.Dialled{Peer: s.ids[1-at], Err: dial.ErrCancelled, Class: dial.Final})
	}
}

// adopt has a node of ours see a connection.
func (s *state) adopt(i, at int) {
	s.lines[i].end[at] = adopted
	d := protocol.Inbound
	if at == i/maxDials {
		d = protocol.Outbound
	}
	s.carry(at, s.nodes[at].pair.arrive(int8(i), d, time.Unix(int64(i), 0)))
}

// carry does what the table says.
func (s *state) carry(at int, acts []Act[int8]) {
	n := &s.nodes[at]
	for _, a := range acts {
		switch a.Verb {
		case Announce:
			if s.lines[a.Conn].end[at] != adopted {
				s.fail("node %d announces a connection that is closed", at)
			}
			n.live, n.told = a.Conn, true
		case Withdraw:
			if n.live != a.Conn {
				s.fail("node %d withdraws a connection that it has not announced", at)
			}
			n.live = -1
		case CloseSilently:
			s.close(at, a.Conn)
		case Retire:
			if s.abrupt {
				s.close(at, a.Conn)
			} else if s.lines[a.Conn].end[at] == adopted {
				s.lines[a.Conn].end[at] = retired
			}
		case Prove:
			if s.hasty {
				s.carry(at, n.pair.proven(a.Conn, a.Mark))
				continue
			}
			l := &s.lines[a.Conn]
			if l.ping[at] == 0 {
				l.ping[at] = uint8(a.Mark)
			} else {
				l.next[at] = uint8(a.Mark)
			}
		}
	}
}

// close begins to close a connection.
func (s *state) close(at int, conn int8) { s.lines[conn].end[at] = closing }

// disturbed reports whether more has happened than that two nodes dialled.
func (s *state) disturbed() bool { return s.world.cuts > 0 || s.nodes[0].left }

// send begins the way of a message: on the connection that there is, or on the
// one that the dialler brings.
func (s *state) send(at int) {
	n := &s.nodes[at]
	if n.live >= 0 {
		n.message, n.on = writing, n.live
		return
	}
	if s.disturbed() { // what follows is another story
		n.message, n.on = refused, -1
		return
	}
	n.message, n.on = dialing, -1
	s.schedule(at, dial.Wanted{Peer: s.ids[1-at]})
}

// lost sends a message again whose connection has ended. Nobody of ours ends one
// before it was heard.
func (s *state) lost(at, i int) {
	if n := &s.nodes[at]; n.message == writing && n.on == int8(i) {
		if !s.disturbed() && !s.model.rust {
			s.fail("what node %d has written is lost", at)
		}
		n.again = false
		s.send(at)
	}
}

// schedule tells the scheduler of a node something and does what it says.
func (s *state) schedule(at int, e dial.Event) {
	now := time.Unix(1_700_000_000, 0)
	plan := dial.New(dial.Options{})
	for _, e := range s.heard[at] {
		plan.Step(now, e)
	}
	effects := slices.Clone(plan.Step(now, e))
	s.heard[at] = append(slices.Clip(s.heard[at]), e)
	n := &s.nodes[at]
	n.wish = wish{}
	if all := plan.Wishes(); len(all) > 0 {
		n.wish = wish{true, all[0].State, all[0].Wanted, all[0].Tries}
	} else {
		s.heard[at] = nil
	}
	for _, effect := range effects {
		switch effect := effect.(type) {
		case dial.Attempt:
			if n.dials == maxDials {
				if !s.disturbed() && !s.model.rust {
					s.fail("node %d dials too often", at)
				}
				n.wish, n.failed, s.heard[at] = wish{}, true, nil
				s.settled(at, dial.ErrCancelled)
				continue
			}
			s.lines[at*maxDials+int(n.dials)].end[at] = connecting
			n.dials++
		case dial.Cancel:
			s.lines[at*maxDials+int(n.dials)-1].cancel = true
		case dial.Settled:
			s.settled(at, effect.Err)
		}
	}
}

// settled is the dialler's answer.
func (s *state) settled(at int, err error) {
	n := &s.nodes[at]
	switch {
	case n.message != dialing:
	case n.live >= 0:
		n.message, n.on = writing, n.live
	case err == nil && !n.again:
		n.again = true
		s.send(at)
	case s.disturbed():
		n.message = refused
	case s.model.rust && n.failed: // it has closed two under the message
		n.message = refused
	case s.model.rust:
		n.failed = true
		s.send(at)
	default:
		s.fail("the message of node %d fails: %v", at, err)
	}
}

// check looks at what holds always.
func (s *state) check() {
	for i := range s.ours() {
		n := &s.nodes[i]
		live := int8(-1)
		if d, ok := n.pair.live(); ok {
			live = n.pair.links[d].conn
		}
		if n.live != live {
			s.fail("node %d: %d is in the directory, want %d", i, n.live, live)
		}
	}
}

// forget makes worlds equal that differ only in what no longer counts.
func (s *state) forget() {
	for at := range s.ours() {
		n := &s.nodes[at]
		d, _ := n.pair.live()
		live := n.pair.links[d].conn
		asked := n.pair.mark
		n.pair.mark = 0
		for i := range s.lines {
			l := &s.lines[i]
			if e := l.end[at]; e == gone || e == closing || e == retired {
				l.ping[at], l.pong[at], l.next[at] = 0, false, 0
			}
			for _, mark := range []*uint8{&l.ping[at], &l.next[at]} {
				switch {
				case *mark == 0:
				case uint64(*mark) == asked && int8(i) == live:
					*mark, n.pair.mark = 1, 1
				default:
					*mark = stale
				}
			}
		}
		for _, link := range []*link[int8]{&n.pair.links[0], &n.pair.links[1]} {
			if !link.here {
				*link = noLink
			}
		}
		if !n.pair.leaving {
			n.pair.leaver = 0
		}
		if n.message == heard || n.message == refused {
			n.again, n.failed, n.on = false, false, -1
		}
	}
	for i := range s.lines {
		if l := &s.lines[i]; l.end == [2]stage{gone, gone} && !l.result {
			*l = line{end: l.end}
		}
	}
}

var noLink link[int8]

// stale is the mark of a ping whose answer proves nothing any more.
const stale = 255
