package messengers

import (
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/protocol"
)

// TestEnded: outcomes count for an hour, and in all since the start.
func TestEnded(t *testing.T) {
	var e ended
	begin := time.Unix(1e9, 0)
	one := func(k protocol.OutcomeKind) (o Ended) { o.count(k); return o }
	e.add(begin, Ended{}) // nothing has ended
	for minute := range 120 {
		now := begin.Add(time.Duration(minute) * time.Minute)
		e.add(now, one(protocol.Confirmed))
		if minute < 10 {
			e.add(now, one(protocol.InDoubt))
			e.add(now, one(protocol.Failed))
		}
	}
	if want := (Ended{120, 10, 10}); e.total != want {
		t.Errorf("got %+v in all, want %+v", e.total, want)
	}
	for after, want := range map[time.Duration]Ended{
		119 * time.Minute: {Confirmed: 61},
		170 * time.Minute: {Confirmed: 10},
		10 * time.Hour:    {},
	} {
		if got := e.within(begin.Add(after)); got != want {
			t.Errorf("after %v: got %+v in the last hour, want %+v", after, got, want)
		}
	}
}
