package saf_test

import (
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/dht/saf"
)

// TestStoredAgesClock: the system's clock counts when a record is loaded, and not after.
func TestStoredAgesClock(t *testing.T) {
	load := func(ages ...time.Duration) *saf.Index {
		x := saf.NewIndex(saf.Default())
		for i, age := range ages {
			r := numbered(i, ann, east, saf.Low, 1)
			r.Seq, r.StoredAt = uint64(i)+1, begin.Add(-age).Unix()
			x.Load(begin, begin, r)
		}
		return x
	}
	for _, c := range []struct {
		name string
		ages []time.Duration
		due  time.Duration // of the first
	}{
		{"an hour old", []time.Duration{time.Hour}, 5 * time.Hour},
		{"too old", []time.Duration{7 * time.Hour}, 0},
		{"before 1970", []time.Duration{time.Hour * 24 * 366 * 100}, 0},
		{"of the future", []time.Duration{-24 * time.Hour}, 6 * time.Hour},
		{"stored before the clock was set back", []time.Duration{-24 * time.Hour, 5 * time.Hour}, 6 * time.Hour},
	} {
		if got := load(c.ages...).Due().Sub(begin); got != c.due {
			t.Errorf("%s: expires after %v, want %v", c.name, got, c.due)
		}
	}
	x := load(-24*time.Hour, 5*time.Hour)
	wantSeqs(t, "in the order of storing", x.Expire(begin.Add(6*time.Hour), 1), 1)
}
