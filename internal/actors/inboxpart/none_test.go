package inboxpart

import (
	"errors"
	"testing"

	"github.com/gamelan-p2p/gamelan/actors"
)

// TestNone: the inbox of a node that has none says so instead of panicking.
func TestNone(t *testing.T) {
	var b *Inbox
	n := 0
	for _, err := range b.Listen(t.Context(), actors.ListenOptions{}) {
		if n++; !errors.Is(err, ErrNone) {
			t.Errorf("listen: got %v, want ErrNone", err)
		}
	}
	if n != 1 {
		t.Errorf("listen: got %d answers, want one", n)
	}
	for what, err := range map[string]error{
		"ack": b.Ack(t.Context(), 1), "hand back": b.HandBack(t.Context(), "me"), "status": b.Status().Err,
	} {
		if !errors.Is(err, ErrNone) {
			t.Errorf("%s: got %v, want ErrNone", what, err)
		}
	}
}
