//go:build !nodisk

package crashes

import (
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// TestConnectionThatIsStoppedByHand ends as one that was asked to, in the history and in the events, and is no failure.
func TestConnectionThatIsStoppedByHand(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{})
		net.Connect(a, b)
		time.Sleep(time.Minute)
		ref, ok := a.Connection(b.ID())
		if !ok {
			t.Fatal("they are not connected")
		}
		if err := a.Inspection().StopActor(t.Context(), ref.PID.Id); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		h := a.Inspection().Peer(b.ID())
		last := h.Ended
		if last == nil {
			last = h.Before
		}
		if last == nil || last.Reason.Code != actors.CloseRequested || last.Reason.By != "us" {
			t.Errorf("got %+v, want that the connection was ended on request", last)
		}
		all, err := a.Inspection().Recorded(inspect.EventQuery{Types: []string{models.ConnClosed}})
		if err != nil || len(all.Events) != 1 || !strings.Contains(all.Events[0].What, "ended by us: requested") {
			t.Errorf("got %+v, %v, want one end on request", all.Events, err)
		}
		net.Connect(a, b)
		time.Sleep(time.Second)
		if err := a.Inspection().Restart(t.Context(), "conns"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		all, err = a.Inspection().Recorded(inspect.EventQuery{Types: []string{models.ConnClosed}})
		if err != nil || len(all.Events) != 2 || !strings.Contains(all.Events[1].What, "restarted by hand") {
			t.Errorf("got %+v, %v, want that an actor was restarted by hand", all.Events, err)
		}
	})
}
