package saf_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/dht/saf"
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

// TestKnownFromAWatermark: a server from which messages came before the start is busy when it
// leaves requests unanswered, and is asked again. One without a watermark is left alone.
func TestKnownFromAWatermark(t *testing.T) {
	marks := new(saf.Watermarks)
	marks.Load(saf.Watermark{Server: peerNamed("A"), Stored: 1})
	s := newClientScript(saf.ClientOptions{Watermarks: marks})
	for _, name := range []string{"A", "B"} {
		s.Step(s.now, s.now, saf.Connected{Peer: peerNamed(name), Serves: true})
	}
	asked := make(map[string]int)
	for range 10 * 60 {
		s.now = s.now.Add(time.Second)
		for _, e := range s.Step(s.now, s.now, saf.Due{}) {
			switch e := e.(type) {
			case saf.Ask:
				asked[nameOf(e.Peer)]++
			case saf.Silent:
				if nameOf(e.Peer) != "B" {
					t.Errorf("got %s silent, want B alone", nameOf(e.Peer))
				}
			}
		}
	}
	if asked["A"] != saf.SilentAfter+1 || asked["B"] != saf.SilentAfter {
		t.Errorf("got requests %v in 10 minutes, want %d and %d", asked, saf.SilentAfter+1, saf.SilentAfter)
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
