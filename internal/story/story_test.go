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

// TestFlood: one source that comes and goes by thousands has few lines, is counted, and takes none of
// the others'.
func TestFlood(t *testing.T) {
	s, lines, ended := New(), 0, 0
	for i := range 100_000 {
		now := begin.Add(time.Duration(i) * 36 * time.Millisecond) // an hour
		if s.Connected(now, peer(i), uint64(i), now, source(1)) {
			lines++
		}
		if since, told := s.Disconnected(peer(i)); told {
			ended++
			if !since.Equal(now) {
				t.Fatalf("got a connection since %v, want %v", since, now)
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
	if now := begin.Add(time.Hour); !s.Connected(now, peer(1), 1, now, source(2)) || !s.Connected(now, peer(2), 2, now, share.None) {
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
		if s.Connected(begin, peer(i), uint64(i), begin, source(i)) {
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
	if !s.Connected(begin, peer(-1), 1, begin, share.None) {
		t.Error("a connection of this node's own has no line")
	}
	if later := begin.Add(strangerEach); !s.Connected(later, peer(-2), 1, later, source(1<<17)) {
		t.Error("a minute later: got no line, want one")
	}
}

// TestPlaceTaken: a connection that takes the place of another one of its peer goes on with its story.
func TestPlaceTaken(t *testing.T) {
	s := New()
	if !s.Connected(begin, peer(1), 1, begin, share.None) {
		t.Fatal("the first connection has no line")
	}
	if s.Connected(begin.Add(time.Hour), peer(1), 2, begin.Add(time.Hour), source(1)) {
		t.Error("one that takes its place has a line")
	}
	if since, told := s.Disconnected(peer(1)); !told || !since.Equal(begin) {
		t.Errorf("got %v, %v, want the end told, since the beginning of the first", since, told)
	}
	if _, told := s.Disconnected(peer(1)); told {
		t.Error("an end that was told is told again")
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
