package seed_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/kad"
	"github.com/gamelan-p2p/gamelan/kad/seed"
)

// TestPublishedAgain has a node save a value, and parts the network after a while. The other
// node stores the value for 60 minutes, so after that it has the value only if it was
// published again, within 55 minutes.
//
// conforms: kad 14
func TestPublishedAgain(t *testing.T) {
	for name, c := range map[string]struct {
		apart time.Duration // since the value was saved
		found bool
	}{
		"apart at once":          {0, false},
		"apart after 55 minutes": {55*time.Minute + 10*time.Second, true},
	} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				hub := kad.NewHub(kad.HubOptions{Delay: 10 * time.Millisecond})
				nodes := make([]*seed.Service, 2)
				for i := range nodes {
					nodes[i] = seed.New(nil, 0, 0, 0, 0, 0)
					if err := nodes[i].RegisterGateway(hub.Network()); err != nil {
						t.Fatal(err)
					}
					if err := nodes[i].Start(t.Context()); err != nil {
						t.Fatal(err)
					}
					defer stop(t, nodes[i])
				}
				first, err := nodes[0].Client()
				if err != nil {
					t.Fatal(err)
				}
				if _, err := nodes[1].Connect(t.Context(), string(first.Addresses()[0])); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute) // by the bubble's clock: both have entered the network
				synctest.Wait()
				if err := nodes[0].Save(t.Context(), []byte("key"), []byte("value")); err != nil {
					t.Fatal(err)
				}
				time.Sleep(c.apart)
				hub.Cut(func(a, b kad.Address) bool { return true })
				time.Sleep(61*time.Minute - c.apart)
				got, err := nodes[1].Query(t.Context(), []byte("key"))
				switch {
				case c.found && (err != nil || string(got) != "value"):
					t.Errorf("got %q and %v, want the value, which was published again", got, err)
				case !c.found && !errors.Is(err, seed.ErrNotFound) && !errors.Is(err, kad.ErrIsolated):
					t.Errorf("got %q and %v, want nothing: it was stored for an hour", got, err)
				}
			})
		})
	}
}
