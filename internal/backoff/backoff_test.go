package backoff

import (
	"math"
	"testing"
	"time"
)

func TestDoubled(t *testing.T) {
	for _, x := range []struct {
		n                 int
		first, most, want time.Duration
	}{
		{-1, time.Second, time.Minute, time.Second},
		{0, time.Second, time.Minute, time.Second},
		{1, time.Second, time.Minute, time.Second},
		{2, time.Second, time.Minute, 2 * time.Second},
		{6, time.Second, time.Minute, 32 * time.Second},
		{7, time.Second, time.Minute, time.Minute},
		{math.MaxInt, time.Second, time.Minute, time.Minute},
		{math.MaxInt, time.Second, math.MaxInt64, math.MaxInt64},
		{math.MaxInt, 0, time.Minute, 0},
		{1, time.Minute, time.Second, time.Second},
	} {
		if got := Doubled(x.n, x.first, x.most); got != x.want {
			t.Errorf("Doubled(%d, %v, %v): got %v, want %v", x.n, x.first, x.most, got, x.want)
		}
	}
}
