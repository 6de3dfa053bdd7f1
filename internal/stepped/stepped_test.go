package stepped

import (
	"testing"
	"time"
)

func TestTime(t *testing.T) {
	for _, d := range []time.Duration{24 * time.Hour, -24 * time.Hour, time.Second} {
		now := time.Now()
		got := Time(now, d)
		if got.Unix() != now.Unix()+int64(d/time.Second) || got.Nanosecond() != now.Nanosecond() {
			t.Errorf("step %v of %v: got %v", d, now, got)
		}
		if got.Sub(now) != 0 || !got.Add(time.Minute).After(now) {
			t.Errorf("step %v: got a monotonic reading %v apart, want the same", d, got.Sub(now))
		}
		if plain := now.Round(0); Time(plain, d).Sub(plain) != d {
			t.Errorf("step %v without a monotonic reading: got %v", d, Time(plain, d).Sub(plain))
		}
	}
}
