package put

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// TestEachContactHasOneOutcome gives random answers, and some of nobody who was asked: the
// work ends when all asked have answered, nobody is asked twice, no more than are wanted are
// asked at a time, and each has exactly one outcome.
//
// conforms: kad 47
func TestEachContactHasOneOutcome(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := Options{K: rapid.IntRange(1, 6).Draw(t, "k"), Alpha: rapid.IntRange(1, 3).Draw(t, "alpha")}
		contacts := make([]overlay.Contact, rapid.IntRange(0, 12).Draw(t, "contacts"))
		for i := range contacts {
			contacts[i].ID = overlay.ID{byte(i + 1)}
		}
		p := New(overlay.Key{}, contacts, o)
		var waiting []overlay.ID
		accepted, asked := 0, 0
		var done *Done
		step := func(e Event) {
			for _, f := range p.Step(e) {
				switch f := f.(type) {
				case Store:
					if f.Contact.ID != contacts[asked].ID {
						t.Fatalf("got %v asked as number %d, want the next nearest", f.Contact.ID[0], asked+1)
					}
					asked++
					waiting = append(waiting, f.Contact.ID)
				case Done:
					done = &f
				}
			}
			if len(waiting) > 2*o.Alpha || len(waiting)+accepted > o.K {
				t.Fatalf("got %d under way and %d accepted, want at most %d and %d together", len(waiting), accepted, 2*o.Alpha, o.K)
			}
		}
		step(Start{})
		for len(waiting) > 0 {
			if rapid.IntRange(0, 5).Draw(t, "foreign") == 0 {
				step(Replied{Peer: overlay.ID{99}})
			}
			at := rapid.IntRange(0, len(waiting)-1).Draw(t, "which")
			id := waiting[at]
			waiting = append(waiting[:at], waiting[at+1:]...)
			switch rapid.IntRange(0, 2).Draw(t, "how") {
			case 0:
				accepted++
				step(Replied{Peer: id})
			case 1:
				step(Replied{Peer: id, Status: overlay.Quota})
			case 2:
				step(Lost{Peer: id})
			}
		}
		if done == nil {
			t.Fatal("nobody is waited for, and the work goes on")
		}
		quorum := min((o.K+1)/2, len(contacts))
		if r := done.Report; r.Accepted != accepted || len(r.Outcomes) != asked || (done.Err != nil) != (accepted < quorum) {
			t.Fatalf("got %+v with %v, want %d accepted of %d, and an error below %d", r, done.Err, accepted, asked, quorum)
		}
		if accepted < o.K && asked < len(contacts) {
			t.Fatalf("the work ended with %d of %d holders, and %d were not asked", accepted, o.K, len(contacts)-asked)
		}
		for _, x := range done.Report.Outcomes {
			if x.State == 0 {
				t.Fatalf("%v has no outcome", x.Contact.ID[0])
			}
		}
	})
}
