package gamelan

import (
	"context"
	"errors"
	"testing"
	"time"
)

// TestAwaitMissesNothing has what is awaited happen between the first look and
// the waiting.
func TestAwaitMissesNothing(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	e := newEvents(time.Now)
	looks := 0
	err := e.await(ctx, func() bool {
		if looks++; looks == 1 {
			e.publish("it happens")
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
	e := newEvents(time.Now)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := e.await(ctx, never); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	e.close()
	if err := e.await(t.Context(), never); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v, want %v", err, ErrClosed)
	}
	if err := e.await(t.Context(), func() bool { return true }); err != nil {
		t.Errorf("what is so already: got %v, want nil", err)
	}
}
