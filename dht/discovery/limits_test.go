package discovery_test

import (
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/dht/discovery"
	"github.com/gamelan-p2p/gamelan/identity"
)

func numbered(i int) (id identity.NodeID) {
	id[0], id[1], id[2] = 1, byte(i>>8), byte(i)
	return id
}

func TestLimitOfJoins(t *testing.T) {
	l := discovery.NewLimiter()
	for i := range discovery.JoinLimit {
		if !l.Join(wall, numbered(1)) {
			t.Fatalf("Join %d was refused, want %d looked at", i+1, discovery.JoinLimit)
		}
	}
	if l.Join(wall, numbered(1)) || l.Join(wall.Add(discovery.JoinSpan-time.Second), numbered(1)) {
		t.Error("a Join above the limit was looked at")
	}
	if !l.Join(wall, numbered(2)) {
		t.Error("another source's Join was refused")
	}
	later := wall.Add(discovery.JoinSpan + discovery.JoinSpan/10)
	if !l.Join(later, numbered(1)) {
		t.Error("there is no room after the span")
	}
}

// TestSourcesAreForgotten: the limiter remembers a bounded number of sources, and idle
// ones make room.
func TestSourcesAreForgotten(t *testing.T) {
	l := discovery.NewLimiter()
	const room = 4096
	for i := range room {
		if !l.Join(wall, numbered(i)) {
			t.Fatalf("source %d was refused, want room for %d", i+1, room)
		}
	}
	if l.Join(wall, numbered(room)) {
		t.Error("one more source was remembered")
	}
	if !l.Join(wall.Add(2*discovery.JoinSpan), numbered(room)) {
		t.Error("idle sources make no room")
	}
}

// TestLimitOfReplies: one reply to an author in a second, 120 in any minute, and
// an eighth of them for what one source sends.
func TestLimitOfReplies(t *testing.T) {
	key := func(i int) (k identity.PublicKey) {
		k[0], k[1] = byte(i>>8), byte(i)
		return k
	}
	l := discovery.NewLimiter()
	if !l.Discovery(wall, numbered(1), key(1)) || l.Discovery(wall.Add(discovery.ReplyPause/2), numbered(2), key(1)) {
		t.Error("want one Discovery of an author looked at, and no second one soon, through whomever it comes")
	}
	if !l.Discovery(wall.Add(discovery.ReplyPause+time.Second), numbered(2), key(1)) {
		t.Error("want one more of the same author after the pause")
	}

	l = discovery.NewLimiter()
	looked := 0
	for i := range 1000 {
		if l.Discovery(wall, numbered(1), key(i)) {
			looked++
		}
	}
	if looked != discovery.ReplySourcePart {
		t.Errorf("one source: got %d, want %d", looked, discovery.ReplySourcePart)
	}
	for i := range 1000 {
		if l.Discovery(wall.Add(time.Second), numbered(2+i), key(1000+i)) {
			looked++
		}
	}
	if looked != discovery.ReplyLimit {
		t.Errorf("many sources: got %d, want %d", looked, discovery.ReplyLimit)
	}
	if !l.Discovery(wall.Add(discovery.ReplySpan+discovery.ReplySpan/10+time.Second), numbered(3), key(3000)) {
		t.Error("there is no room after the span")
	}
}
