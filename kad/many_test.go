package kad_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/kad"
)

// Sixty clients of six networks in one process: what one network stores, no other finds, and
// one that is closed leaves the others alone.
//
// conforms: kad 58
func TestManyClients(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		host, err := kad.NewStandalone(kad.StandaloneOptions{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { host.Close(context.Background()) })
		networks := make([][]*kad.Client, 6)
		for n := range networks {
			hub := kad.NewHub(kad.HubOptions{Delay: time.Millisecond})
			for i := range 10 {
				c := kad.Config{Name: fmt.Sprintf("n%d-%d", n, i), PublicKey: kad.MemoryKey(uint64(i)), Networks: []kad.Network{hub.Network()}}
				if n%2 == 1 {
					c.Overlay = kad.Seed
					c.PublicKey = [32]byte{}
				}
				if i > 0 {
					c.Bootstrap = networks[n][0].Addresses()
				}
				client, err := kad.Start(t.Context(), host, c)
				if err != nil {
					t.Fatal(err)
				}
				networks[n] = append(networks[n], client)
			}
		}
		time.Sleep(time.Minute)
		keys := make([]kad.Key, len(networks))
		for n, list := range networks {
			put := list[0].Put
			if n%2 == 1 {
				put = func(ctx context.Context, value []byte) (kad.Report, error) {
					return list[0].PutOpaque(ctx, value, value)
				}
			}
			r, err := put(t.Context(), fmt.Appendf(nil, "network %d", n))
			if err != nil {
				t.Fatalf("network %d: %v", n, err)
			}
			keys[n] = r.Key
		}
		time.Sleep(time.Second)
		networks[5][9].Close(t.Context())
		networks[5] = networks[5][:9]
		for n, list := range networks {
			for i, c := range list {
				if len(c.View().Bucket(0))+c.View().Len() == 0 {
					t.Errorf("%s knows nobody", c.Name())
				}
				for k, key := range keys {
					r, err := c.Get(t.Context(), key)
					if k == n && (err != nil || string(r.Value) != fmt.Sprintf("network %d", n)) {
						t.Errorf("%s: got %v, %v, want the value of its network", c.Name(), r, err)
					}
					if k != n && !errors.Is(err, kad.ErrNotFound) {
						t.Errorf("%s: got %v, %v, want %v for the key of network %d", c.Name(), r, err, kad.ErrNotFound, k)
					}
				}
				_ = i
			}
		}
	})
}
