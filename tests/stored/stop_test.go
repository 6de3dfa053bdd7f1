package stored

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// TestBubbleStoredBeforeStop: a node that is stopped right after a burst has stored every
// message of it that it has read, and still has each after the restart.
func TestBubbleStoredBeforeStop(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		slow := func(next dht.Handler) dht.Handler {
			return func(m *dht.Incoming) dht.Verdict {
				time.Sleep(10 * time.Millisecond)
				return next(m)
			}
		}
		cfg := gamelan.Config{Floor: gamelan.NoFloor, DataDir: t.TempDir()}
		author := kit.StartMember(net, gamelan.Config{Floor: gamelan.NoFloor})
		server := kit.StartMember(net, cfg, kit.Quiet, gamelan.WithLayer(dht.BeforeVerify, slow))
		net.Connect(author.Node, server.Node)
		time.Sleep(time.Second)
		const burst = 50
		random := rand.NewChaCha8([32]byte{17})
		var pending []*gamelan.Pending[dht.Report]
		for i := range burst {
			receiver, err := identity.NewSecret(random)
			if err != nil {
				t.Fatal(err)
			}
			m := kit.LetterTo(dht.StoreFor{To: receiver.PublicKey()}, fmt.Sprint("letter ", i))
			m.Encrypt = true
			p, err := author.DHT().Submit(t.Context(), m)
			if err != nil {
				t.Fatal(err)
			}
			pending = append(pending, p)
		}
		for _, p := range pending {
			if r := p.Wait(t.Context()); r.Count(protocol.Confirmed) != 1 {
				t.Fatalf("got %v, want it written to the server", r.String())
			}
		}
		if err := server.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		kit.WantStored(t, "after the restart", kit.StartMember(net, cfg, kit.Quiet), burst)
	})
}
