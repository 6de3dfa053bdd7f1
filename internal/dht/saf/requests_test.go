package saf_test

import (
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/dht/saf"
	"github.com/gamelan-p2p/gamelan/internal/share"
)

// here is where the requests come from.
const here share.Source = 1 << 40

func wantAdmission(t *testing.T, what string, got, want saf.Admission) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// TestRequestsOfOnePeer: one answer under way, three requests that wait, thirty at once, and
// one more every two seconds.
func TestRequestsOfOnePeer(t *testing.T) {
	var r saf.Requests
	now := begin
	q := func(id uint32) wire.StoredRequest { return wire.StoredRequest{RequestID: id} }
	wantAdmission(t, "first", r.Ask(now, ann, here, true, q(1)), saf.AnswerNow)
	for id := range uint32(saf.PeerWaiting) {
		wantAdmission(t, "one that waits", r.Ask(now, ann, here, true, q(2+id)), saf.AnswerLater)
	}
	wantAdmission(t, "one too many", r.Ask(now, ann, here, true, q(5)), saf.Waiting)
	wantAdmission(t, "another peer", r.Ask(now, ben, here, true, q(1)), saf.AnswerNow)
	for id := range uint32(saf.PeerWaiting) {
		if next, ok := r.Done(ann); !ok || next != q(2+id) {
			t.Errorf("got %v, %v, want %v", next, ok, q(2+id))
		}
	}
	if next, ok := r.Done(ann); ok {
		t.Errorf("got %v, want nothing that waits", next)
	}
	if _, ok := r.Done(ann); ok {
		t.Error("an end without an answer")
	}
	for i := range saf.PeerRequests - 5 {
		wantAdmission(t, "up to thirty", r.Ask(now, ann, here, true, q(uint32(i))), saf.AnswerNow)
		r.Done(ann)
	}
	wantAdmission(t, "one more", r.Ask(now, ann, here, true, q(11)), saf.PeerTooMany)
	now = now.Add(2*time.Second - 1)
	wantAdmission(t, "too early", r.Ask(now, ann, here, true, q(12)), saf.PeerTooMany)
	now = now.Add(1)
	wantAdmission(t, "regained", r.Ask(now, ann, here, true, q(13)), saf.AnswerNow)
	wantAdmission(t, "one alone", r.Ask(now, ann, here, true, q(14)), saf.PeerTooMany)
	s := r.Stats()
	if s.UnderWay != 2 || s.Peers != 2 || s.Asked[saf.AnswerNow] != saf.PeerRequests-2 || s.Asked[saf.PeerTooMany] != 3 || s.Asked[saf.Waiting] != 1 {
		t.Errorf("got %+v", s)
	}
}

// TestRequestsOfAll: 6,000 a minute, those of peers without messages apart, and a table that does not grow with those who asked.
func TestRequestsOfAll(t *testing.T) {
	var r saf.Requests
	peer := func(i int) identity.NodeID { return identity.NodeID{9, byte(i >> 8), byte(i)} }
	for i := range saf.AllRequests {
		wantAdmission(t, "within", r.Ask(begin, peer(i), here, true, wire.StoredRequest{}), saf.AnswerNow)
		r.Done(peer(i))
	}
	wantAdmission(t, "beyond", r.Ask(begin, ann, here, true, wire.StoredRequest{}), saf.AllTooMany)
	wantAdmission(t, "a peer without messages", r.Ask(begin, ann, here, false, wire.StoredRequest{}), saf.AnswerNow)
	if s := r.Stats(); s.Peers != saf.AllRequests+1 {
		t.Errorf("got %d peers, want none remembered that was refused", s.Peers)
	}
	for i := range 6000 {
		now := begin.Add(time.Hour + time.Duration(i)*100*time.Millisecond)
		if a := r.Ask(now, peer(i+1000), here, true, wire.StoredRequest{}); a != saf.AnswerNow {
			t.Fatalf("request %d: got %v, want it within the limit", i, a)
		}
		r.Done(peer(i + 1000))
		if n := r.Stats().Peers; i%100 == 0 && n > 2*saf.AllRequests {
			t.Fatalf("request %d: got %d peers remembered, want at most %d", i, n, 2*saf.AllRequests)
		}
	}
}

// TestRequestsWithoutMessages: peers without messages do not use up what others may ask.
func TestRequestsWithoutMessages(t *testing.T) {
	var r saf.Requests
	for i := range saf.OtherRequests {
		peer := identity.NodeID{9, byte(i >> 8), byte(i)}
		wantAdmission(t, "within", r.Ask(begin, peer, here, false, wire.StoredRequest{}), saf.AnswerNow)
		r.Done(peer)
	}
	wantAdmission(t, "one more", r.Ask(begin, ann, here, false, wire.StoredRequest{}), saf.OthersTooMany)
	wantAdmission(t, "one with messages", r.Ask(begin, ann, here, true, wire.StoredRequest{}), saf.AnswerNow)
}

// TestDroppedRequestsCostNothing: what is dropped because the peer's own request waits
// takes no room from the others.
func TestDroppedRequestsCostNothing(t *testing.T) {
	var r saf.Requests
	for i := range 100 {
		id := identity.NodeID{8, byte(i)}
		for range 20 {
			r.Ask(begin, id, here, true, wire.StoredRequest{})
		}
	}
	wantAdmission(t, "another peer", r.Ask(begin, ann, here, true, wire.StoredRequest{}), saf.AnswerNow)
}

// TestRequestsOfManyKeys: two hundred keys of one source make all requests that there may be. Those
// of other sources are answered all the same, until they have made as many, and within a source
// those of other keys.
//
// conforms: V 39
func TestRequestsOfManyKeys(t *testing.T) {
	for _, stored := range []bool{true, false} {
		most := saf.AllRequests
		if !stored {
			most = saf.OtherRequests
		}
		var r saf.Requests
		now, last := begin, 0
		asks := func(what string, from share.Source, keys, each, want int) {
			t.Helper()
			answered := 0
			for range keys {
				last++
				peer := identity.NodeID{9, byte(last >> 16), byte(last >> 8), byte(last)}
				for range each {
					if a := r.Ask(now, peer, from, stored, wire.StoredRequest{}); !a.Dropped() {
						answered++
					}
					r.Done(peer)
				}
			}
			if answered != want {
				t.Errorf("stored %v, %s: got %d requests answered, want %d", stored, what, answered, want)
			}
		}
		const there, elsewhere = here + 1<<20, here + 2<<20
		asks("one source", here, most/saf.PeerRequests, saf.PeerRequests, most/saf.PeerRequests*saf.PeerRequests)
		asks("and what is left", here, most%saf.PeerRequests, 1, most%saf.PeerRequests)
		asks("another", there, 100, 1, 100)
		asks("another key of the first", here, 1, 1, 1)
		asks("a third", elsewhere, 100, 1, 100)
		asks("the second, until it has as many as the first", there, most, 1, (most-100)/2-100)
		now = now.Add(time.Minute - 1)
		asks("the second a moment too early", there, 1, 1, 0)
		now = now.Add(1)
		asks("a minute later", there, most+1, 1, most)
	}
}

// TestRequestsUntaken: a peer that has not confirmed its last answer is known until it confirms one.
func TestRequestsUntaken(t *testing.T) {
	var r saf.Requests
	r.Took(ann, false)
	if r.Untaken(ann) {
		t.Error("got a peer that has not asked remembered")
	}
	r.Ask(begin, ann, here, true, wire.StoredRequest{})
	for _, confirmed := range []bool{true, false, true} {
		if r.Took(ann, confirmed); r.Untaken(ann) == confirmed {
			t.Errorf("confirmed %v: got untaken %v", confirmed, confirmed)
		}
	}
}
