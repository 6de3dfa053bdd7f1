package trunk_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/messengers"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// hoarder is a services actor whose messaging keeps what it is sent.
type hoarder struct{}

func (hoarder) Receive(c actor.Context) {
	if _, ok := c.Message().(*actor.Started); ok {
		supervisor.Spawn(c, supervisor.Spec{Name: "messaging", Kind: "messaging", New: func() actor.Actor { return fake{new(record)} }})
	}
}

// TestNoAccountWithoutCredit sends to a great many peers when there is no credit.
func TestNoAccountWithoutCredit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := play(t, map[string]func(*trunk.Rooms) actor.Actor{"services": func(*trunk.Rooms) actor.Actor { return hoarder{} }})
		sender := s.Dialer // any fake
		peer := func(i int) identity.NodeID { return s.introduce(t, i) }
		body := make([]byte, 60<<10)
		const all = 1000
		for i := range all {
			s.Messages.Plain.Enqueue(messengers.SendBody{Peer: peer(i), Body: body}, sender)
		}
		synctest.Wait()
		refused := count[actors.Sent](s.heard["dialer"])
		if refused < all/2 || refused == all {
			t.Fatalf("got %d messages without credit, want most of %d", refused, all)
		}
		if got, want := s.Messages.Plain.Accounts(), all-refused; got != want {
			t.Errorf("got %d accounts, want %d, of those who hold something", got, want)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := s.Messages.Plain.Send(ctx, messengers.SendBody{Peer: peer(all), Body: body}, func(protocol.Outcome) {})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want that the time is over", err)
		}
		if got, want := s.Messages.Plain.Accounts(), all-refused; got != want {
			t.Errorf("after waiting: got %d accounts, want %d", got, want)
		}
	})
}
