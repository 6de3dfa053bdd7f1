package dht_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
)

// conforms: dht 138
func TestPings(t *testing.T) {
	p := dht.NewPings()
	r := rand.New(rand.NewPCG(1, 2))
	now := time.Unix(1_700_000_000, 0)
	a, b := idOf("a"), idOf("b")
	nonce, _ := p.Send(now, a, 1, r)
	if _, _, ok := p.Pong(now, b, nonce); ok {
		t.Error("b's answer to a's ping counted")
	}
	if _, _, ok := p.Pong(now, a, nonce+1); ok {
		t.Error("an answer nobody asked for counted")
	}
	if id, took, ok := p.Pong(now.Add(time.Second), a, nonce); !ok || id != 1 || took != time.Second {
		t.Errorf("got %d, %v, %v, want the ping 1 after 1 s", id, took, ok)
	}
	if _, _, ok := p.Pong(now, a, nonce); ok {
		t.Error("the answer counted twice")
	}
	p.Send(now, a, 2, r)
	p.Send(now.Add(time.Second), b, 3, r)
	p.Send(now.Add(2*time.Second), b, 4, r)
	p.Cancel(4)
	late, next := p.Late(now.Add(dht.PingLimit))
	if len(late) != 1 || late[0] != 2 || !next.Equal(now.Add(dht.PingLimit+time.Second)) {
		t.Errorf("got late %v, next %v, want 2, and 3 a second later", late, next)
	}
	if late, next = p.Late(next); len(late) != 1 || late[0] != 3 || !next.IsZero() || p.Len() != 0 {
		t.Errorf("got late %v, next %v, %d open, want 3 and none left", late, next, p.Len())
	}
	for range dht.MaxPings {
		p.Send(now, a, 5, r)
	}
	if _, ok := p.Send(now, a, 6, r); ok {
		t.Error("one more than the limit was sent")
	}
}

// TestPongs: 60 answers to a peer in any minute. However many ping, others are answered.
//
// conforms: V 28
func TestPongs(t *testing.T) {
	p := dht.NewPongs()
	now := time.Unix(1_700_000_000, 0)
	a, b := idOf("a"), idOf("b")
	want := func(what string, peer identity.NodeID, want bool) {
		t.Helper()
		if got := p.Ping(now, peer); got != want {
			t.Errorf("%s: got answered %v, want %v", what, got, want)
		}
	}
	for range dht.PongLimit {
		want("within the limit", a, true)
	}
	want("beyond the limit", a, false)
	want("of another", b, true)
	now = now.Add(time.Minute)
	for range 300 { // who pings every three seconds is always answered
		want("little by little", a, true)
		now = now.Add(3 * time.Second)
	}

	for i := range 2 * dht.MaxPonged {
		peer := identity.NodeID{1, byte(i >> 8), byte(i)}
		if !p.Ping(now, peer) || p.Len() > dht.MaxPonged {
			t.Fatalf("peer %d: got it unanswered, or %d remembered, want it answered and at most %d", i, p.Len(), dht.MaxPonged)
		}
	}
	want("of one that was forgotten", a, true)
	for i := 0; p.Len() < dht.MaxPonged; i++ {
		p.Ping(now, identity.NodeID{3, byte(i >> 8), byte(i)})
	}
	now = now.Add(time.Minute)
	want("when the others are forgotten", identity.NodeID{2}, true)
	if p.Len() != 1 {
		t.Errorf("got %d peers remembered, want 1", p.Len())
	}
}
