package saf_test

import (
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/dht/saf"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
)

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
	wantAdmission(t, "first", r.Ask(now, ann, true, q(1)), saf.AnswerNow)
	for id := range uint32(saf.PeerWaiting) {
		wantAdmission(t, "one that waits", r.Ask(now, ann, true, q(2+id)), saf.AnswerLater)
	}
	wantAdmission(t, "one too many", r.Ask(now, ann, true, q(5)), saf.Waiting)
	wantAdmission(t, "another peer", r.Ask(now, ben, true, q(1)), saf.AnswerNow)
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
		wantAdmission(t, "up to thirty", r.Ask(now, ann, true, q(uint32(i))), saf.AnswerNow)
		r.Done(ann)
	}
	wantAdmission(t, "one more", r.Ask(now, ann, true, q(11)), saf.PeerTooMany)
	now = now.Add(2*time.Second - 1)
	wantAdmission(t, "too early", r.Ask(now, ann, true, q(12)), saf.PeerTooMany)
	now = now.Add(1)
	wantAdmission(t, "regained", r.Ask(now, ann, true, q(13)), saf.AnswerNow)
	wantAdmission(t, "one alone", r.Ask(now, ann, true, q(14)), saf.PeerTooMany)
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
		wantAdmission(t, "within", r.Ask(begin, peer(i), true, wire.StoredRequest{}), saf.AnswerNow)
		r.Done(peer(i))
	}
	wantAdmission(t, "beyond", r.Ask(begin, ann, true, wire.StoredRequest{}), saf.AllTooMany)
	wantAdmission(t, "a peer without messages", r.Ask(begin, ann, false, wire.StoredRequest{}), saf.AnswerNow)
	if s := r.Stats(); s.Peers != saf.AllRequests+1 {
		t.Errorf("got %d peers, want none remembered that was refused", s.Peers)
	}
	for i := range 6000 {
		now := begin.Add(time.Hour + time.Duration(i)*100*time.Millisecond)
		if a := r.Ask(now, peer(i+1000), true, wire.StoredRequest{}); a != saf.AnswerNow {
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
		wantAdmission(t, "within", r.Ask(begin, peer, false, wire.StoredRequest{}), saf.AnswerNow)
		r.Done(peer)
	}
	wantAdmission(t, "one more", r.Ask(begin, ann, false, wire.StoredRequest{}), saf.OthersTooMany)
	wantAdmission(t, "one with messages", r.Ask(begin, ann, true, wire.StoredRequest{}), saf.AnswerNow)
}

// TestDroppedRequestsCostNothing: what is dropped because the peer's own request waits
// takes no room from the others.
func TestDroppedRequestsCostNothing(t *testing.T) {
	var r saf.Requests
	for i := range 100 {
		id := identity.NodeID{8, byte(i)}
		for range 20 {
			r.Ask(begin, id, true, wire.StoredRequest{})
		}
	}
	wantAdmission(t, "another peer", r.Ask(begin, ann, true, wire.StoredRequest{}), saf.AnswerNow)
}
