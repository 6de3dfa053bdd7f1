package story

import (
	"strconv"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/share"
)

// TestRecord: events are found by their place, over starts, and it is known when some are gone.
func TestRecord(t *testing.T) {
	r := NewRecord[int](3, ID{}, nil)
	of := func(n int) func(ID) int { return func(ID) int { return n } }
	for i := 1; i <= 5; i++ {
		if k := r.Add(of(i)); k.ID != (ID{1, uint64(i)}) || k.Event != i {
			t.Fatalf("got %+v, want event %d", k, i)
		}
	}
	list, whole := r.After(ID{1, 3})
	if !whole || len(list) != 2 || list[0].Event != 4 || Missing(ID{1, 3}, list) != 0 {
		t.Errorf("after 3: got %v, %v", list, whole)
	}
	if list, whole = r.After(ID{1, 1}); whole || len(list) != 3 || Missing(ID{1, 1}, list) != 1 {
		t.Errorf("after 1: got %v, %v", list, whole)
	}
	if list, whole = r.After(r.Last()); !whole || len(list) != 0 {
		t.Errorf("after the last: got %v, %v", list, whole)
	}

	// A start after a crash: event 5 was not written, and its number comes again.
	earlier, _ := r.After(ID{})
	again := NewRecord(3, ID{1, 4}, earlier[:2])
	if k := again.Add(of(50)); k.ID != (ID{2, 5}) {
		t.Errorf("got %v, want 2.5", k.ID)
	}
	if list, whole = again.After(ID{1, 5}); !whole || len(list) != 1 || list[0].Event != 50 {
		t.Errorf("after an event that is lost: got %v, %v", list, whole)
	}
}

func TestID(t *testing.T) {
	for text, want := range map[string]bool{"1.2": true, "0.0": true, "": false, "1": false, "1.": false, ".1": false, "-1.2": false, "1.2.3": false, "a.b": false} {
		id, ok := ParseID(text)
		if ok != want || ok && id.String() != text {
			t.Errorf("%q: got %v, %v", text, id, ok)
		}
	}
	if (ID{1, 9}).Compare(ID{2, 1}) >= 0 || (ID{2, 1}).Compare(ID{2, 1}) != 0 {
		t.Error("a later start is not later")
	}
}

// TestDialFailed: a peer that is away is told once, and counted; the next after a connection is told again.
func TestDialFailed(t *testing.T) {
	s, told, dials := New(), 0, 0
	for i := range 3600 {
		if n, tell := s.DialFailed(begin.Add(time.Duration(i)*time.Second), peer(1)); tell {
			told, dials = told+1, dials+n
		}
	}
	if told != 6 || dials != 3001 {
		t.Errorf("got %d events of %d dials in an hour, want 6 of 3001", told, dials)
	}
	if u, _ := s.Untold(); u.Dials != 3594 {
		t.Errorf("got %d left out, want 3594", u.Dials)
	}
	now := begin.Add(time.Hour)
	begins(s, now, 1, share.None)
	if _, tell := s.DialFailed(now, peer(1)); !tell {
		t.Error("after a connection: got no event")
	}
	told = 0
	for i := range 1000 {
		if _, tell := s.DialFailed(now, peer(i+2)); tell {
			told++
		}
	}
	if told > dialLines {
		t.Errorf("got %d events at once, want at most %d", told, dialLines)
	}
}

// TestActed: what is done again and again is told at first, and then counted.
func TestActed(t *testing.T) {
	s, told, acts := New(), 0, 0
	for i := range 1200 {
		if n, tell := s.Acted(begin.Add(time.Duration(i)*time.Second), "admin.peer.ping"); tell {
			told, acts = told+1, acts+n
		}
	}
	if told != 2 || acts != 601 {
		t.Errorf("got %d events of %d acts in 20 minutes, want 2 of 601", told, acts)
	}
	if n, tell := s.Acted(begin, "admin.peer.ban"); !tell || n != 1 {
		t.Error("another act is not told")
	}
}

// TestActsThatDiffer: acts of one name with other parameters are told, the last one too. A flood of them is counted.
func TestActsThatDiffer(t *testing.T) {
	s, now := New(), begin
	for i, act := range []struct {
		what string
		n    int
	}{{"drain", 1}, {"drain off=true", 1}, {"drain", 1}, {"drain", 0}, {"drain off=true", 1}, {"log.level level=warn", 1}, {"log.level level=info", 1}} {
		now = now.Add(time.Second)
		if n, tell := s.Acted(now, act.what); n != act.n || tell != (act.n > 0) {
			t.Errorf("%d, %s: got %d, %v, want %d", i, act.what, n, tell, act.n)
		}
	}
	told := 0
	for i := range 3600 {
		if _, tell := s.Acted(now.Add(time.Duration(i)*time.Second), "ping peer="+strconv.Itoa(i%7)); tell {
			told++
		}
	}
	u, _ := s.Untold()
	if told < 60 || told > 130 || u.Acts != uint64(3600-told) {
		t.Errorf("got %d told and %d counted of 3,600 in an hour, want 60, and then one a minute", told, u.Acts)
	}
	if n, tell := s.Acted(now.Add(time.Hour), "drain"); n != 1 || !tell {
		t.Errorf("another act after the flood: got %d, %v", n, tell)
	}
}
