package kad_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/kad"
)

// TestWaitReady says what is missing while nobody is known and while nobody answers, returns
// as soon as somebody has answered, and ends with the client.
func TestWaitReady(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		const peer = 11
		n := &byHand{limits: kad.Limits{Private: true}}
		n.reply = func(kad.Address, *kad.Message) (a kad.Message, ok bool) { return a, true }
		c := limited(t, n, kad.StandaloneOptions{})
		wait := func(ctx context.Context, d time.Duration) error {
			ctx, cancel := context.WithTimeout(ctx, d)
			defer cancel()
			return c.WaitReady(ctx)
		}
		if err := wait(t.Context(), time.Minute); !errors.Is(err, kad.ErrNoPeers) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("alone: got %v, want ErrNoPeers and the end of the context", err)
		}
		done := make(chan error, 1)
		go func() { done <- wait(t.Context(), time.Hour) }()
		synctest.Wait()
		if _, err := c.ConnectTo(t.Context(), handContact(peer)); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil || c.View().Len() != 1 || c.State() != kad.Ready {
			t.Errorf("got %v, %d contacts, %s; want nil and a ready client", err, c.View().Len(), c.State())
		}
		if err := wait(t.Context(), 0); err != nil {
			t.Errorf("ready already: got %v, want nil", err)
		}
		if err := c.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Fatal(err)
		}
	})
	gamelantest.Bubble(t, func(t *testing.T) {
		l := newLab(t, kad.HubOptions{}, kad.StandaloneOptions{})
		silent := &byHand{limits: kad.Limits{Private: true}}
		silent.reply = func(kad.Address, *kad.Message) (a kad.Message, ok bool) { return a, false }
		c := l.add(func(c *kad.Config) {
			c.Networks, c.PublicKey, c.Bootstrap = []kad.Network{silent}, kad.MemoryKey(1<<40), []kad.Address{handAddress(11)}
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := c.WaitReady(ctx); !errors.Is(err, kad.ErrIsolated) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("nobody answers: got %v, want ErrIsolated and the end of the context", err)
		}
	})
	gamelantest.Bubble(t, func(t *testing.T) {
		c := limited(t, &byHand{limits: kad.Limits{Private: true}}, kad.StandaloneOptions{})
		done := make(chan error, 1)
		go func() { done <- c.WaitReady(t.Context()) }()
		synctest.Wait()
		if err := c.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-done; !errors.Is(err, kad.ErrClosed) {
			t.Errorf("closed: got %v, want ErrClosed", err)
		}
	})
}
