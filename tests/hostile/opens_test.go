package hostile

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
)

// TestOpensTowardsAPeerThatReadsNothing has a program open and close streams to a peer that has
// stopped reading: after some, it waits. What the node keeps to be written stays bounded.
//
// conforms: V 13
func TestOpensTowardsAPeerThatReadsNothing(t *testing.T) {
	bubble(t, func(t *testing.T, n *target) {
		p := connect(t, n.net.Transport(), n.Addr, secretOf(1), messaging, custom)
		synctest.Wait()
		sent, resume := n.standsStill(p)
		defer resume()
		open := func(limit time.Duration) error {
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			s, err := n.OpenStream(ctx, p.id(), custom)
			if err == nil {
				s.Close()
			}
			return err
		}
		opened := 0
		for ; opened < 5000 && open(50*time.Millisecond) == nil; opened++ {
		}
		if opened == 0 || opened > 512 {
			t.Errorf("got %d streams opened to a peer that reads nothing, want some, at most 512", opened)
		}
		resume()
		for i, m := range sent {
			if out := m.Wait(t.Context()); out.Kind != gamelan.Confirmed {
				t.Errorf("message %d: got %v, want confirmed", i, out)
			}
		}
		if err := open(time.Second); err != nil {
			t.Errorf("when the peer reads again: got %v, want a stream", err)
		}
	})
}
