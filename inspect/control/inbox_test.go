package control

import (
	"testing"
	"time"
)

// TestSentAt: a message was sent three hours before it expires. One with another life tells
// nothing.
func TestSentAt(t *testing.T) {
	arrived := time.Unix(1_700_000_000, 0)
	for _, x := range []struct {
		name    string
		expires time.Duration // after the arrival
		ago     time.Duration // sent before the arrival; negative: not known
	}{
		{"just now", 3 * time.Hour, 0},
		{"stored for two days", -45 * time.Hour, 48 * time.Hour},
		{"sent an hour ago", 2 * time.Hour, time.Hour},
		{"a life of a day", 24 * time.Hour, -1},
		{"never", -1_700_000_000 * time.Second, -1},
	} {
		got := sentAt(uint64(arrived.Add(x.expires).Unix()), arrived)
		if x.ago < 0 && !got.IsZero() || x.ago >= 0 && !got.Equal(arrived.Add(-x.ago)) {
			t.Errorf("%s: got %v, want %v before %v", x.name, got, x.ago, arrived)
		}
	}
}
