package kad_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/kad"
)

// The only contact of a client falls silent. As long as it is, a value that it has is not said to
// be absent, nor is the client said to know nobody: nobody answers. Afterwards the value is found.
func TestOnlyContactIsSilent(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		l := newLab(t, kad.HubOptions{}, kad.StandaloneOptions{})
		a := l.add(func(c *kad.Config) { c.Overlay, c.PublicKey = kad.Seed, [32]byte{} })
		b := l.add(func(c *kad.Config) { c.Overlay, c.PublicKey, c.Bootstrap = kad.Seed, [32]byte{}, nil })
		key, err := a.Key([]byte("key"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Get(t.Context(), key); !errors.Is(err, kad.ErrNoPeers) {
			t.Errorf("before it knows anybody: got %v, want %v", err, kad.ErrNoPeers)
		}
		if _, err := b.Connect(t.Context(), string(a.Addresses()[0])); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		l.hub.Cut(func(_, _ kad.Address) bool { return true })
		if _, err := a.PutOpaque(t.Context(), []byte("key"), []byte("value")); err != nil && !errors.Is(err, kad.ErrIsolated) {
			t.Fatal(err)
		}
		for b.View().Len() > 0 {
			_, err := b.Get(t.Context(), key)
			if !errors.Is(err, kad.ErrIsolated) || errors.Is(err, kad.ErrNotFound) || errors.Is(err, kad.ErrNoPeers) {
				t.Fatalf("a silent contact: got %v, want %v", err, kad.ErrIsolated)
			}
		}
		synctest.Wait()
		for range 3 {
			begin := time.Now()
			_, err := b.Get(t.Context(), key)
			if !errors.Is(err, kad.ErrIsolated) || errors.Is(err, kad.ErrNotFound) || errors.Is(err, kad.ErrNoPeers) {
				t.Errorf("no contact is left: got %v, want %v", err, kad.ErrIsolated)
			}
			if time.Since(begin) == 0 {
				t.Error("no contact is left: the one that there was is not asked")
			}
		}
		if _, err := b.Closest(t.Context(), key); !errors.Is(err, kad.ErrIsolated) {
			t.Errorf("closest: got %v, want %v", err, kad.ErrIsolated)
		}
		l.hub.Cut(nil)
		l.get(b, key, "value")
		time.Sleep(10 * time.Minute)
		if n := b.View().Len(); n != 1 {
			t.Errorf("got %d contacts, want the one that is back", n)
		}
	})
}
