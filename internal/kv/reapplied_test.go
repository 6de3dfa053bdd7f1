package kv_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/gamelan-p2p/gamelan/internal/kv"
)

// TestReapplied: a write is repeated while the store is opened anew, four times in all, and
// after no other error.
func TestReapplied(t *testing.T) {
	full := errors.New("full")
	for _, c := range []struct {
		results []error // of the calls; the last one repeats
		calls   int
		want    error
	}{
		{[]error{nil}, 1, nil},
		{[]error{full}, 1, full},
		{[]error{fmt.Errorf("write: %w", kv.ErrReopened), nil}, 2, nil},
		{[]error{kv.ErrReopened, full}, 2, full},
		{[]error{kv.ErrReopened}, 4, kv.ErrReopened},
	} {
		calls := 0
		err := kv.Reapplied(func(anew bool) error {
			if anew != (calls > 0) {
				t.Errorf("%v: call %d: got anew %v", c.results, calls, anew)
			}
			calls++
			return c.results[min(calls, len(c.results))-1]
		})
		if calls != c.calls || !errors.Is(err, c.want) || c.want == nil && err != nil {
			t.Errorf("%v: got %v after %d calls, want %v after %d", c.results, err, calls, c.want, c.calls)
		}
	}
}
