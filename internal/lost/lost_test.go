package lost

import (
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
)

func peer(n int) (id identity.NodeID) {
	binary.BigEndian.PutUint64(id[:], uint64(n))
	return id
}

// TestPeers: a peer counts that the user has named, or that was connected for long, once two dials have failed, and until it is
// connected.
func TestPeers(t *testing.T) {
	now, err := time.Unix(1e9, 0), errors.New("refused")
	for name, x := range map[string]struct {
		do   func(*Peers)
		want string // number of each peer, and its dials
	}{
		"nothing":              {func(*Peers) {}, ""},
		"one dial":             {func(l *Peers) { l.Disconnected(now, peer(1), true, 0); l.Failed(now, peer(1), true, "a", err) }, ""},
		"named":                {func(l *Peers) { l.Disconnected(now, peer(1), true, 0); fail(l, now, 1, true, 2) }, "1:2 "},
		"never connected":      {func(l *Peers) { fail(l, now, 1, true, 3) }, "1:3 "},
		"a stranger":           {func(l *Peers) { l.Disconnected(now, peer(1), false, Long-1); fail(l, now, 1, false, 9) }, ""},
		"for long":             {func(l *Peers) { l.Disconnected(now, peer(1), false, Long); fail(l, now, 1, false, 2) }, "1:2 "},
		"connected again":      {func(l *Peers) { fail(l, now, 1, true, 3); l.Connected(peer(1)) }, ""},
		"lost again":           {func(l *Peers) { fail(l, now, 1, true, 3); l.Connected(peer(1)); fail(l, now, 1, true, 2) }, "1:2 "},
		"named ones are first": {func(l *Peers) { long(l, now, 1); fail(l, now.Add(time.Hour), 2, true, 2); fail(l, now, 3, true, 2) }, "3:2 2:2 1:2 "},
	} {
		l := New()
		x.do(l)
		got := ""
		for _, p := range l.All() {
			got += fmt.Sprintf("%d:%d ", binary.BigEndian.Uint64(p.ID[:]), p.Dials)
		}
		if got != x.want {
			t.Errorf("%s: got %q, want %q", name, got, x.want)
		}
	}
}

func fail(l *Peers, now time.Time, n int, named bool, times int) {
	for range times {
		l.Failed(now, peer(n), named, "192.0.2.1:1", errors.New("refused"))
	}
}

func long(l *Peers, now time.Time, n int) {
	l.Disconnected(now, peer(n), false, Long)
	fail(l, now, n, false, 2)
}

// TestPeersAreBounded: peers that come and go take the places of one another, and none of a named one.
func TestPeersAreBounded(t *testing.T) {
	l, now := New(), time.Unix(1e9, 0)
	fail(l, now, 0, true, 2)
	for n := range 1000 {
		long(l, now, n+1)
	}
	all := l.All()
	if len(all) != maxPeers+1 || all[0].ID != peer(0) {
		t.Errorf("got %d, and first %v, want %d and the named one", len(all), all[0].ID, maxPeers+1)
	}
	if p := all[0]; p.Addr != "192.0.2.1:1" || p.Err == nil || !p.Last.Equal(now) {
		t.Errorf("got %+v, want why and where", p)
	}
}
