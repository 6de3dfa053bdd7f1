package tor

import (
	"testing"
	"time"
)

// TestAnnouncement has an address that is told when the service is published, and one that
// is told although it never is.
//
// conforms: comms 142
func TestAnnouncement(t *testing.T) {
	begin := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	type step struct {
		after time.Duration
		state ServiceState
		told  bool
		wake  time.Duration // from the beginning; 0: never
	}
	for name, steps := range map[string][]step{
		"published": {
			{0, Unpublished, false, 0},
			{time.Hour, Adding, false, 0},
			{time.Hour, Added, false, time.Hour + time.Minute},
			{time.Hour + time.Second, Published, true, 0},
			{time.Hour + 2*time.Second, Unpublished, false, 0},
			{2 * time.Hour, Published, false, 0},
		},
		"never published": {
			{0, Added, false, time.Minute},
			{time.Second, PublishFailed, false, time.Minute},
			{time.Minute - 1, Unpublished, false, time.Minute},
			{time.Minute, Unpublished, true, 0},
			{time.Hour, Published, false, 0},
		},
		"Tor does not take it": {{0, Refused, false, 0}, {time.Hour, Collision, false, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			a := Announcement{Grace: DefaultGrace}
			told := time.Time{}
			for i, s := range steps {
				now := begin.Add(s.after)
				if got := a.Step(now, s.state); got != s.told {
					t.Errorf("step %d, %s: got %v, want %v", i, s.state, got, s.told)
				}
				if s.told {
					told = now
				}
				wake := time.Time{}
				if s.wake > 0 {
					wake = begin.Add(s.wake)
				}
				if !a.Wake().Equal(wake) || !a.Made().Equal(told) {
					t.Errorf("step %d: got wake %v, made %v, want %v, %v", i, a.Wake(), a.Made(), wake, told)
				}
			}
		})
	}
}
