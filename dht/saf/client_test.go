package saf_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/dht/saf"
	"github.com/gamelan-p2p/gamelan/identity"
)

// TestRequestNumbers: the numbers of requests are drawn from all that 32 bits have. No two
// requests of several clients have the same, so that none is a duplicate for a server.
//
// conforms: dht 97, 145
func TestRequestNumbers(t *testing.T) {
	seen := make(map[uint32]bool)
	var ones [32]int
	const clients, each = 20, 50
	for i := range uint64(clients) {
		c := saf.NewClient[int](saf.ClientOptions{NoRequests: true, Random: rand.New(rand.NewPCG(i, i))})
		now := wall
		c.Step(now, now, saf.Connected{Peer: peerNamed("A"), Serves: true})
		for range each {
			now = now.Add(time.Minute)
			var id uint32
			for _, effect := range c.Step(now, now, saf.Fetch[int]{}) {
				id = effect.(saf.Ask).Request.RequestID
				if seen[id] {
					t.Errorf("the number %d is not new", id)
				}
				seen[id] = true
				for b := range ones {
					ones[b] += int(id >> b & 1)
				}
			}
			if !c.Open(now, peerNamed("A"), id) || c.Open(now, peerNamed("A"), id) {
				t.Fatalf("the answer to %d is not taken once", id)
			}
			c.Step(now, now, saf.Answered{Peer: peerNamed("A")})
		}
	}
	if len(seen) != clients*each {
		t.Fatalf("got %d requests", len(seen))
	}
	for b, n := range ones {
		if n < len(seen)*2/5 || n > len(seen)*3/5 {
			t.Errorf("bit %d is set in %d of %d numbers", b, n, len(seen))
		}
	}
}

// TestKnownServersAreBounded: any number of peers that come, are asked, and go without an
// answer.
func TestKnownServersAreBounded(t *testing.T) {
	c := saf.NewClient[int](saf.ClientOptions{NoRequests: true, Random: rand.New(rand.NewPCG(1, 1))})
	now := wall
	for i := range 3 * saf.MaxKnown {
		peer := peerNamed("P")
		peer[3], peer[4] = byte(i), byte(i>>8)
		now = now.Add(time.Second)
		c.Step(now, now, saf.Connected{Peer: peer, Serves: true})
		c.Step(now, now, saf.Fetch[int]{Servers: []identity.NodeID{peer}})
		now = now.Add(saf.AnswerTimeout)
		c.Step(now, now, saf.Due{})
		c.Step(now, now, saf.Disconnected{Peer: peer})
	}
	if n := len(c.Servers(now)); n > saf.MaxKnown || n < saf.MaxKnown/4 {
		t.Errorf("%d servers are remembered", n)
	}
	if s := c.Stats(); s.Unanswered != 3*saf.MaxKnown {
		t.Errorf("got %+v", s)
	}
}

// TestFetchesAreBounded: a fetch too many is refused, and the others go on.
func TestFetchesAreBounded(t *testing.T) {
	w := newWatched(saf.ClientOptions{NoRequests: true})
	peer := peerNamed("A")
	w.connected[peer], w.serves[peer] = true, true
	w.do(t, saf.Connected{Peer: peer, Serves: true})
	for i := range saf.MaxFetches + 10 {
		w.waiting[i] = true
		w.do(t, saf.Fetch[int]{Waiter: i})
	}
	if w.Fetches() != saf.MaxFetches || len(w.waiting) != saf.MaxFetches {
		t.Errorf("%d fetches, %d wait", w.Fetches(), len(w.waiting))
	}
	w.Open(w.now, peer, 0)
	w.answer(t, peer, 0, 0, 0)
	if w.Fetches() != 0 || len(w.waiting) != 0 {
		t.Errorf("%d fetches, %d wait", w.Fetches(), len(w.waiting))
	}
}
