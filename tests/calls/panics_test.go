package calls

import (
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// TestBubbleStoppedServiceEndsCalls has one method panic while another call of the
// same service runs: that call ends with its answer.
func TestBubbleStoppedServiceEndsCalls(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		offered := new(kit.Service).Service()
		offered.OnPanic = gamelan.PanicStop
		server, client := net.Start(gamelan.Config{}, kit.Quiet, gamelan.WithService(offered)), net.Start(gamelan.Config{}, kit.Quiet)
		net.Connect(client, server)
		calls := client.RPC().Client(server.ID(), kit.TestService)
		var wg sync.WaitGroup
		wg.Go(func() {
			if got, err := rpc.Call[kit.Number, kit.Text](kit.Bounded(t), calls, kit.Wait, wrapperspb.UInt64(5000)); err != nil || got.Value != "waited" {
				t.Errorf("got %v, %v, want the answer", got, err)
			}
		})
		time.Sleep(time.Second)
		if _, err := rpc.Call[kit.Text, kit.Text](t.Context(), calls, kit.Fail, wrapperspb.String("panic")); err == nil {
			t.Error("got an answer of a method that panics")
		}
		wg.Wait()
		time.Sleep(time.Minute)
		if n := kit.Sessions(server); n != 0 {
			t.Errorf("got %d sessions of a service that has stopped, want none", n)
		}
	})
}
