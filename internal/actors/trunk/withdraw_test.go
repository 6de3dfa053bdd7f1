package trunk_test

import (
	"testing"
	"testing/synctest"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
	"github.com/gamelan-p2p/gamelan/internal/actors/users"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// TestProtocolsStayWhileTheNodeStops ends a handler, with and without a drain under
// way. In a drain its protocol stays in the table: peers hear the end of the
// connection then, and not that nobody takes their messages.
func TestProtocolsStayWhileTheNodeStops(t *testing.T) {
	for _, drained := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var handler *actor.PID
			register := users.Register{New: func() actor.Actor {
				return actor.ReceiveFunc(func(c actor.Context) {
					if _, ok := c.Message().(*actor.Started); ok {
						handler = c.Self()
					}
				})
			}}
			s := play(t, map[string]func(*trunk.Rooms) actor.Actor{"extensions": func(r *trunk.Rooms) actor.Actor {
				if err := r.Users.Preregister(register); err != nil {
					t.Error(err)
				}
				return trunk.NewExtensions(r)
			}})
			synctest.Wait()
			if drained {
				s.tell(s.Extensions, supervisor.Drain{})
			}
			s.System.Root.Stop(handler)
			synctest.Wait()
			want := 2 // of messages with and without ids
			if drained {
				want = 0
			}
			if got := count[users.RemoveProtocol](s.heard["services"]); got != want {
				t.Errorf("drained %v: got %d protocols taken out of the table, want %d", drained, got, want)
			}
			if pid, _ := s.Messages.Plain.Handler.Get(); pid != nil {
				t.Errorf("drained %v: got a handler for messages after its end, want none", drained)
			}
		})
	}
}
