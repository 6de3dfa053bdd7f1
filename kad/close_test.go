package kad_test

import (
	"crypto/ed25519"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/kad"
)

// Closing a client twice, and under load, does no harm: calls under way end with ErrClosed,
// its actors and its place in the network are gone, and its name is free.
//
// conforms: kad 64
func TestCloseTwice(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		l := network(t, 6, kad.StandaloneOptions{}, nil)
		l.hub.SetFaults(200*time.Millisecond, 0, 0)
		c := l.clients[1]
		errs := make([]error, 8)
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() {
				if i%2 == 0 {
					_, errs[i] = c.Get(t.Context(), kad.Key{byte(i)})
				} else {
					_, errs[i] = c.Put(t.Context(), []byte{byte(i)})
				}
			})
		}
		events := 0
		wg.Go(func() {
			for range c.Events(t.Context()) {
				events++
			}
		})
		time.Sleep(10 * time.Millisecond)
		for range 2 {
			wg.Go(func() {
				if err := c.Close(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for i, err := range errs {
			if !errors.Is(err, kad.ErrClosed) {
				t.Errorf("call %d: got %v, want %v", i, err, kad.ErrClosed)
			}
		}
		synctest.Wait()
		for _, i := range l.host.Root().Snapshot() {
			if strings.HasPrefix(i.Path, c.PID().Id) {
				t.Errorf("got %s after the end of the client", i.Path)
			}
		}
		l.hub.SetFaults(0, 0, 0)
		if _, err := l.clients[2].Ping(t.Context(), kad.Contact{ID: c.ID(), Addresses: c.Addresses()}); !errors.Is(err, kad.ErrUnreachable) {
			t.Errorf("got %v, want %v", err, kad.ErrUnreachable)
		}
		again, err := kad.Start(t.Context(), l.host, kad.Config{Name: c.Name(), Networks: []kad.Network{l.hub.Network()}})
		if err != nil {
			t.Fatal(err)
		}
		if err := again.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// No call panics, whatever it is given, before or after the end of the client, and each
// returns the error that says so.
//
// conforms: kad 60
func TestNoCallPanics(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		l := network(t, 3, kad.StandaloneOptions{}, nil)
		c, ctx := l.clients[0], t.Context()
		_, signer, _ := ed25519.GenerateKey(nil)
		long := make([]byte, 1<<20)
		large := (*kad.TooLarge)(nil)
		check := func(what string, err, want error) {
			t.Helper()
			if !errors.Is(err, want) {
				t.Errorf("%s: got %v, want %v", what, err, want)
			}
		}
		_, err := c.Put(ctx, long)
		if !errors.As(err, &large) {
			t.Errorf("a long value: got %v", err)
		}
		_, err = c.PutSigned(ctx, signer, kad.Value{Salt: long})
		if !errors.As(err, &large) {
			t.Errorf("a long salt: got %v", err)
		}
		if _, err = c.Put(ctx, nil); err != nil {
			t.Errorf("an empty value: got %v", err)
		}
		_, err = c.PutSigned(ctx, nil, kad.Value{})
		check("no signer", err, kad.ErrBadSignature)
		_, err = c.PutSigned(ctx, signer, kad.Value{TTL: -time.Hour})
		check("a value that has ended", err, kad.ErrExpired)
		_, err = c.PutOpaque(ctx, nil, nil)
		check("an opaque value", err, kad.ErrOverlay)
		s := l.add(func(c *kad.Config) { c.Overlay, c.PublicKey = kad.Seed, [32]byte{} })
		_, err = s.PutSigned(ctx, signer, kad.Value{})
		check("a signed value in the other overlay", err, kad.ErrOverlay)
		_, err = s.Delete(ctx, signer, nil)
		check("a tombstone in the other overlay", err, kad.ErrOverlay)
		_, err = s.Put(ctx, nil)
		check("an immutable value in the other overlay", err, kad.ErrOverlay)
		check("a key that is not published", c.Forget(ctx, kad.Key{}), kad.ErrNotFound)
		check("a mode", c.SetMode(ctx, 77), kad.ErrConfig)
		_, err = c.Ping(ctx, kad.Contact{})
		check("nobody", err, kad.ErrUnreachable)
		for _, target := range []string{"", "::", "x::y", "/ip4/1.2.3.4/udp/5", "/memory/99999", strings.Repeat("/", 1000), "aa::/ip4/1.2.3.4/tcp/5"} {
			if _, err := c.Connect(ctx, target); err == nil {
				t.Errorf("got no error for %q", target)
			}
		}
		if list, err := c.Closest(ctx, c.ID()); err != nil || len(list) != 2 {
			t.Errorf("got %v, %v, want the two others", list, err)
		}
		for _, bad := range []kad.Config{
			{},
			{Name: "A B"},
			{Name: "x", Overlay: 9},
			{Name: "x", Mode: 9},
			{Name: "x", Hasher: kad.SHA1},
			{Name: "x", ID: kad.ID{1}},
			{Name: "x", Params: kad.Params{K: -1}},
			{Name: "x", Params: kad.Params{Alpha: 1000}},
			{Name: "x", Params: kad.Params{Publish: 1}},
			{Name: "x", Networks: []kad.Network{nil}},
			{Name: "x", Network: strings.Repeat("n", 32)},
			{Name: "x", Overlay: kad.Seed, PublicKey: kad.MemoryKey(1)},
			{Name: "x", Overlay: kad.Seed, Params: kad.Params{MaxOwn: 1001}},
			{Name: "x", Overlay: kad.Seed, Params: kad.Params{Publish: 10 * time.Minute, MaxOwn: 201}},
		} {
			_, err := kad.Start(ctx, l.host, bad)
			check("a bad configuration", err, kad.ErrConfig)
		}
		_, err = kad.Start(ctx, l.host, kad.Config{Name: "x"})
		check("no network", err, kad.ErrNoGateway)

		if err := c.Close(ctx); err != nil {
			t.Fatal(err)
		}
		_, err = c.Put(ctx, nil)
		check("Put", err, kad.ErrClosed)
		_, err = c.Get(ctx, kad.Key{}, kad.Quorum(-1), kad.MaxStale(-1), kad.Traced(nil), kad.Into(nil))
		check("Get", err, kad.ErrClosed)
		_, err = c.Closest(ctx, kad.ID{})
		check("Closest", err, kad.ErrClosed)
		_, err = c.Own(ctx)
		check("Own", err, kad.ErrClosed)
		_, err = c.Connect(ctx, "/memory/1")
		check("Connect", err, kad.ErrClosed)
		for e := range c.Events(ctx) {
			t.Errorf("got the event %v", e)
		}
		if s := c.Status(ctx); s.Name != c.Name() || c.View() == nil || len(c.Known()) > 2 {
			t.Errorf("got %+v", s)
		}
	})
}
