package discovery_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/dht/discovery"
	"github.com/gamelan-p2p/gamelan/internal/share"
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

// TestSourcesAreForgotten: the limiter remembers a bounded number of sources. However many
// come, others have their Joins looked at.
func TestSourcesAreForgotten(t *testing.T) {
	l := discovery.NewLimiter()
	const room = 4096
	for i := range room {
		if !l.Join(wall, numbered(i)) {
			t.Fatalf("source %d was refused, want room for %d", i+1, room)
		}
	}
	later := wall.Add(discovery.JoinSpan / 2)
	for range discovery.JoinLimit {
		l.Join(later, numbered(7))
	}
	for i := range 2 * room {
		if !l.Join(later, numbered(room+i)) {
			t.Fatalf("source %d was refused because of those before it", room+i+1)
		}
		if got := l.Sources(); got > room {
			t.Fatalf("got %d sources remembered, want at most %d", got, room)
		}
	}
	if !l.Join(wall.Add(2*discovery.JoinSpan), numbered(room)) || l.Sources() > room {
		t.Error("idle sources make no room")
	}
}

// TestLimitOfReplies: one reply to an author in a second, 120 in any minute, and
// an eighth of them for what one source sends, whatever keys it has, and half for all exempt ones.
//
// conforms: V 39
func TestLimitOfReplies(t *testing.T) {
	key := func(i int) (k identity.PublicKey) {
		k[0], k[1] = byte(i>>8), byte(i)
		return k
	}
	none, exempt := share.None, share.Exempt
	l := discovery.NewLimiter()
	if !l.Discovery(wall, none, numbered(1), key(1)) || l.Discovery(wall.Add(discovery.ReplyPause/2), none, numbered(2), key(1)) {
		t.Error("want one Discovery of an author looked at, and no second one soon, through whomever it comes")
	}
	if !l.Discovery(wall.Add(discovery.ReplyPause+time.Second), none, numbered(2), key(1)) {
		t.Error("want one more of the same author after the pause")
	}

	l = discovery.NewLimiter()
	author := 0
	looked := func(from func(i int) (share.Source, identity.NodeID)) (n int) {
		for i := range 1000 {
			author++
			origin, peer := from(i)
			if l.Discovery(wall, origin, peer, key(author)) {
				n++
			}
		}
		return n
	}
	address := share.Of(netip.MustParseAddr("192.0.2.1"))
	for _, c := range []struct {
		what string
		from func(i int) (share.Source, identity.NodeID)
		want int
	}{
		{"one peer that we dialled", func(int) (share.Source, identity.NodeID) { return none, numbered(1) }, discovery.ReplySourcePart},
		{"one address with many keys", func(i int) (share.Source, identity.NodeID) { return address, numbered(2 + i) }, discovery.ReplySourcePart},
		{"one exempt peer", func(int) (share.Source, identity.NodeID) { return exempt, numbered(1) }, discovery.ReplySourcePart},
		{"many of them", func(i int) (share.Source, identity.NodeID) { return exempt, numbered(2 + i) }, discovery.ReplyExemptPart - discovery.ReplySourcePart},
		{"many that we dialled", func(i int) (share.Source, identity.NodeID) { return none, numbered(2 + i) }, discovery.ReplyLimit - discovery.ReplyExemptPart - 2*discovery.ReplySourcePart},
	} {
		if got := looked(c.from); got != c.want {
			t.Errorf("%s: got %d, want %d", c.what, got, c.want)
		}
	}
	if !l.Discovery(wall.Add(discovery.ReplySpan+discovery.ReplySpan/10+time.Second), none, numbered(3), key(20_000)) {
		t.Error("there is no room after the span")
	}
}
