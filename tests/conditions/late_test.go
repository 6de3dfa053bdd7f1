package conditions

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// TestBubbleLateOutcomes: a message whose time is over says whether the peer has read it, and whether nobody there takes it. What was read is
// in doubt, and what nobody took has failed.
func TestBubbleLateOutcomes(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net, heard := gamelantest.NewNetwork(t), gamelantest.NewCollector()
		a, b := net.Start(gamelan.Config{NoDHT: true}), net.Start(gamelan.Config{NoDHT: true}, kit.Quiet, gamelan.WithHandler(heard.New))
		net.Connect(a, b)
		unblock := heard.Block()
		late := kit.Enqueue(t, a, b, "hello", gamelan.Handled())
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if got := late.Wait(ctx); got.Kind != protocol.InDoubt || got.Reason != protocol.Expired || got.Err == nil || !strings.Contains(got.Err.Error(), "has read it, and nobody there has handled it") {
			t.Errorf("got %v, want in doubt, and that it was read", got)
		}
		unblock()
		untaken := kit.Enqueue(t, a, b, "job", gamelan.To("jobs"), gamelan.Until(5*time.Second))
		if got := untaken.Wait(t.Context()); got.Kind != protocol.Failed || got.Reason != protocol.Expired || !errors.Is(got.Err, actors.ErrNotTaken) {
			t.Errorf("got %v, want failed, and that nobody takes it", got)
		}
		ctx, cancel = context.WithTimeout(t.Context(), 5500*time.Millisecond) // not while it is written again
		defer cancel()
		withdrawn := kit.Enqueue(t, a, b, "job", gamelan.To("jobs"), gamelan.Until(time.Hour))
		if got := withdrawn.Wait(ctx); got.Kind != protocol.Failed || got.Reason != protocol.Expired || !errors.Is(got.Err, actors.ErrNotTaken) {
			t.Errorf("got %v of one that was withdrawn, want failed, and that nobody takes it", got)
		}
	})
}
