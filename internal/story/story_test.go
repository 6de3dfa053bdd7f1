package story

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/share"
)

func peer(n int) (id identity.NodeID) {
	binary.BigEndian.PutUint64(id[:], uint64(n))
	return id
}

func source(n int) share.Source {
	return share.Of(netip.AddrFrom4([4]byte{11, byte(n >> 16), byte(n >> 8), byte(n)}))
}

var begin = time.Unix(1e9, 0)

// begins has a peer connect, and reports whether it is told.
func begins(s *Story, now time.Time, n int, from share.Source) bool {
	return s.Connected(now, Connection{Peer: peer(n), Conn: uint64(n), Since: now, From: from})
}

// TestFlood: one source that comes and goes by thousands has few lines, is counted, and takes none of
// the others'.
func TestFlood(t *testing.T) {
	s, lines, ended := New(), 0, 0
	for i := range 100_000 {
		now := begin.Add(time.Duration(i) * 36 * time.Millisecond) // an hour
		if begins(s, now, i, source(1)) {
			lines++
		}
		if lasted, told := s.Disconnected(now, peer(i), 0); told {
			ended++
			if lasted != 0 {
				t.Fatalf("got a connection of %v, want one of no time", lasted)
			}
		}
	}
	if want := sourceLines + int(time.Hour/sourceEach); lines < sourceLines || lines > want || ended != lines {
		t.Errorf("got %d beginnings and %d ends told, want both the same, from %d to %d", lines, ended, sourceLines, want)
	}
	if u, ok := s.Untold(); !ok || u.Connections != 100_000-uint64(lines) || u.Ended != u.Connections || u.Sources != 1 {
		t.Errorf("got %+v, %v left out, want all but %d, of one source", u, ok, lines)
	}
	if u, ok := s.Untold(); ok {
		t.Errorf("got %+v left out since, want nothing", u)
	}
	if now := begin.Add(time.Hour); !begins(s, now, 1, source(2)) || !begins(s, now, 2, share.None) {
		t.Error("another source, or a connection of this node's own, has no line")
	}
	if s.Made != 100_002 || s.Lost != 100_000 || s.Open() != 2 {
		t.Errorf("got %d made, %d lost, %d open, want all counted", s.Made, s.Lost, s.Open())
	}
}

// TestManySources: strangers of many sources together have few lines, and leave those of the node's
// own connections.
func TestManySources(t *testing.T) {
	s, lines := New(), 0
	for i := range 50_000 {
		if begins(s, begin, i, source(i)) {
			lines++
		}
	}
	if lines != strangerLines {
		t.Errorf("got %d lines, want %d", lines, strangerLines)
	}
	if u, _ := s.Untold(); u.Sources != maxSources {
		t.Errorf("got %d sources, want no more than %d counted", u.Sources, maxSources)
	}
	if s.sources.Len() > maxSources {
		t.Errorf("got %d sources remembered, want at most %d", s.sources.Len(), maxSources)
	}
	if !begins(s, begin, -1, share.None) {
		t.Error("a connection of this node's own has no line")
	}
	if later := begin.Add(strangerEach); !begins(s, later, -2, source(1<<17)) {
		t.Error("a minute later: got no line, want one")
	}
}

// TestPlaceTaken: a connection that takes the place of another one of its peer goes on with its story.
func TestPlaceTaken(t *testing.T) {
	s := New()
	if !begins(s, begin, 1, share.None) {
		t.Fatal("the first connection has no line")
	}
	if begins(s, begin.Add(time.Hour), 1, source(1)) {
		t.Error("one that takes its place has a line")
	}
	if lasted, told := s.Disconnected(begin.Add(2*time.Hour), peer(1), 0); !told || lasted != 2*time.Hour {
		t.Errorf("got %v, %v, want the end told, since the beginning of the first", lasted, told)
	}
	if _, told := s.Disconnected(begin, peer(1), 0); told {
		t.Error("an end that was told is told again")
	}
}

// TestNamedAndExempt: exempt sources have lines of their own, and so has each peer that the user has named, whatever
// strangers do.
func TestNamedAndExempt(t *testing.T) {
	s, exempt, named := New(), 0, 0
	for i := range 1000 {
		begins(s, begin, i, source(i))
	}
	for i := range 1000 {
		if begins(s, begin, 1000+i, share.Exempt) {
			exempt++
		}
	}
	name := func(now time.Time, i int) bool {
		defer s.Disconnected(now, peer(i), 0)
		return s.Connected(now, Connection{Peer: peer(i), From: source(1), Named: true})
	}
	for range 100 {
		if name(begin, 5000) { // it comes and goes
			named++
		}
	}
	if exempt != strangerLines || named != sourceLines || !name(begin, 5001) || !name(begin.Add(sourceEach), 5000) {
		t.Errorf("got %d lines of exempt ones and %d of a named one, want %d and %d, and one of another named one", exempt, named, strangerLines, sourceLines)
	}
	for i := range 1000 {
		name(begin, 6000+i)
	}
	if s.named.Len() > maxSources || name(begin, 9000) {
		t.Errorf("got %d named ones remembered, or more than %d lines of all", s.named.Len(), namedLines)
	}
}

// TestSleep: a connection lasts while the machine sleeps.
func TestSleep(t *testing.T) {
	s := New()
	s.Connected(begin, Connection{Peer: peer(1), Since: begin, Slept: time.Hour})
	if lasted, _ := s.Disconnected(begin.Add(time.Minute), peer(1), 9*time.Hour); lasted != 8*time.Hour+time.Minute {
		t.Errorf("got %v, want 8 h 1 min", lasted)
	}
}

// TestGone: peers without a connection whose end was missed are found.
func TestGone(t *testing.T) {
	s := New()
	for i := range 5 {
		begins(s, begin, i, share.None)
	}
	got := s.Gone(func(id identity.NodeID) bool { return id != peer(1) && id != peer(3) })
	if len(got) != 2 || got[0] != peer(1) || got[1] != peer(3) {
		t.Errorf("got %v, want 1 and 3", got)
	}
}

// TestFlapping: changes of state and bans are bounded, and counted.
func TestFlapping(t *testing.T) {
	s, states, bans := New(), 0, 0
	for range 1000 {
		if s.State(begin) {
			states++
		}
		if s.Banned(begin) {
			bans++
		}
	}
	if u, _ := s.Untold(); states != stateLines || u.States != 1000-stateLines || bans != strangerLines || u.Bans != 1000-strangerLines {
		t.Errorf("got %d states and %d bans told, %+v left out", states, bans, u)
	}
}
