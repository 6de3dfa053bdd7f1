package words

import (
	"testing"
	"time"
)

func TestLong(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0 s", 59*time.Second + 999*time.Millisecond: "59 s", time.Minute: "1 min", 59*time.Minute + 59*time.Second: "59 min",
		time.Hour: "1 h", 47*time.Hour + 5*time.Minute: "47 h 5 min", 48 * time.Hour: "2 days", 99*time.Hour + time.Minute: "4 days 3 h",
	} {
		if got := Long(d); got != want {
			t.Errorf("%v: got %q, want %q", d, got, want)
		}
	}
}
