package feed

import (
	"context"
	"errors"
	"testing"
	"time"
)

var errClosed = errors.New("closed")

// TestAwaitMissesNothing has what is awaited happen between the first look and
// the waiting.
func TestAwaitMissesNothing(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	e := New(func(v string, _ uint64) string { return v })
	looks := 0
	err := e.Await(ctx, errClosed, func() bool {
		if looks++; looks == 1 {
			e.Publish(func(uint64) string { return "it happens" })
		}
		return looks > 1
	})
	if err != nil || looks != 2 {
		t.Errorf("got %v after %d looks, want nil after 2", err, looks)
	}
	if len(e.subs) != 0 {
		t.Errorf("got %d subscribers left, want none", len(e.subs))
	}
}

func TestAwaitEnds(t *testing.T) {
	never := func() bool { return false }
	e := New(func(v string, _ uint64) string { return v })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := e.Await(ctx, errClosed, never); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	e.Close()
	if err := e.Await(t.Context(), errClosed, never); !errors.Is(err, errClosed) {
		t.Errorf("got %v, want %v", err, errClosed)
	}
	if err := e.Await(t.Context(), errClosed, func() bool { return true }); err != nil {
		t.Errorf("what is so already: got %v, want nil", err)
	}
}
