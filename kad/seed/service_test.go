package seed_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/kad"
	"github.com/gamelan-p2p/gamelan/kad/seed"
)

func gateway(t *testing.T) kad.Network {
	t.Helper()
	n, err := seed.UDP(seed.UDPOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func started(t *testing.T) *seed.Service {
	t.Helper()
	s := seed.New(nil, 0, 0, 0, 0, 0)
	if err := s.RegisterGateway(gateway(t)); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if s.IsRunning() {
			stop(t, s)
		}
	})
	return s
}

func stop(t *testing.T, s *seed.Service) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		t.Error(err)
	}
}

// TestMisuse makes each call at the wrong time.
//
// conforms: kad 13
func TestMisuse(t *testing.T) {
	s := seed.New(nil, 0, 0, 0, 0, 0)
	ctx := t.Context()
	calls := func() map[string]error {
		_, connect := s.Connect(ctx, "/ip4/127.0.0.1/udp/9")
		_, query := s.Query(ctx, []byte("key"))
		_, peers := s.NumberOfKnownPeers()
		return map[string]error{
			"connect": connect, "query": query, "save": s.Save(ctx, []byte("key"), nil), "peers": peers, "stop": s.Stop(ctx),
		}
	}
	notRunning := func(when string) {
		t.Helper()
		if s.IsRunning() {
			t.Errorf("%s: got running", when)
		}
		for name, err := range calls() {
			if !errors.Is(err, seed.ErrNotRunning) {
				t.Errorf("%s: %s: got %v, want ErrNotRunning", when, name, err)
			}
		}
	}
	notRunning("before the start")
	if err := s.Start(ctx); !errors.Is(err, seed.ErrNoGateway) {
		t.Errorf("start without gateway: got %v, want ErrNoGateway", err)
	}
	if err := s.RegisterGateway(gateway(t)); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if !s.IsRunning() {
		t.Error("got not running after the start")
	}
	for name, err := range map[string]error{"start": s.Start(ctx), "register": s.RegisterGateway(gateway(t))} {
		if !errors.Is(err, seed.ErrAlreadyRunning) {
			t.Errorf("%s: got %v, want ErrAlreadyRunning", name, err)
		}
	}
	stop(t, s)
	notRunning("after the stop")

	// It starts again, with another id and an empty store.
	if err := s.Start(ctx); err != nil {
		t.Fatalf("start after stop: %v", err)
	}
	stop(t, s)
	bad := seed.New(nil, -1, 0, 0, 0, 0)
	if err := bad.RegisterGateway(gateway(t)); err != nil {
		t.Fatal(err)
	}
	if err := bad.Start(ctx); !errors.Is(err, kad.ErrConfig) {
		t.Errorf("bucket size -1: got %v, want ErrConfig", err)
	}
}

// TestDefaults are those of the program.
//
// conforms: kad 13
func TestDefaults(t *testing.T) {
	s := started(t)
	c, err := s.Client()
	if err != nil {
		t.Fatal(err)
	}
	if c.IDLen() != 20 || c.Overlay() != kad.Seed || seed.PeerTimeout != 15*time.Minute || seed.MessageTimeout != 3*time.Second {
		t.Errorf("got ids of %d bytes in overlay %v, want 20 in seed", c.IDLen(), c.Overlay())
	}
	k, a, life := seed.Settings(s)
	if k != 20 || a != 3 || life != time.Hour {
		t.Errorf("got %d, %d, %v, want 20, 3, 1 h", k, a, life)
	}
	key, err := c.Key([]byte("key"))
	if err != nil || key.Text(20) != "a62f2225bf70bfaccbc7f1ef2a397836717377de" {
		t.Errorf("got %s and %v, want the SHA-1 of key", key.Text(20), err)
	}
}

// TestSaveAlone stores without peers, and finds it.
//
// conforms: kad 14
func TestSaveAlone(t *testing.T) {
	s := started(t)
	if _, err := s.Query(t.Context(), []byte("key")); !errors.Is(err, seed.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	for _, value := range []string{"value", "another"} { // the last one wins
		if err := s.Save(t.Context(), []byte("key"), []byte(value)); err != nil {
			t.Fatal(err)
		}
		got, err := s.Query(t.Context(), []byte("key"))
		if err != nil || string(got) != value {
			t.Errorf("got %q and %v, want %q", got, err, value)
		}
	}
	if n, err := s.NumberOfKnownPeers(); n != 0 || err != nil {
		t.Errorf("got %d peers and %v, want none", n, err)
	}
}

// TestTwo nodes know each other after Connect, and find what the other has saved.
func TestTwo(t *testing.T) {
	a, b := started(t), started(t)
	ac, err := a.Client()
	if err != nil {
		t.Fatal(err)
	}
	id, err := b.Connect(t.Context(), string(ac.Addresses()[0]))
	if err != nil || id != ac.ID() {
		t.Fatalf("got %s and %v, want %s", id.Text(20), err, ac.ID().Text(20))
	}
	if err := b.Save(t.Context(), []byte("from b"), []byte("1")); err != nil {
		t.Fatal(err)
	}
	query := func(s *seed.Service, key string, want error) {
		t.Helper()
		gamelantest.Eventually(t, 4*time.Minute, key, func() bool {
			got, err := s.Query(t.Context(), []byte(key))
			// A node knows another one only when that has answered it, which takes a while.
			if early := errors.Is(err, seed.ErrNotFound) || errors.Is(err, kad.ErrIsolated); err != nil && !early || err == nil && string(got) != "1" {
				t.Fatalf("%s: got %q and %v", key, got, err)
			}
			return errors.Is(err, want)
		})
	}
	query(a, "from b", nil)
	query(b, "absent", seed.ErrNotFound)
}

// TestTooLong refuses a value that would be fragmented, unless that was wanted.
//
// conforms: kad 11
func TestTooLong(t *testing.T) {
	s := started(t)
	if err := s.Save(t.Context(), []byte("key"), make([]byte, 1304)); err != nil {
		t.Error(err)
	}
	err := s.Save(t.Context(), []byte("key"), make([]byte, 1305))
	tooLong, ok := errors.AsType[*kad.TooLarge](err)
	if !ok || tooLong.Max != 1304 || tooLong.Size != 1305 {
		t.Errorf("got %v, want a TooLarge with limit 1304", err)
	}
	n, err := seed.UDP(seed.UDPOptions{MaxValue: 65_411})
	if err != nil {
		t.Fatal(err)
	}
	long := seed.New(nil, 0, 0, 0, 0, 0)
	if err := long.RegisterGateway(n); err != nil {
		t.Fatal(err)
	}
	if err := long.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer stop(t, long)
	lc, err := long.Client()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Connect(t.Context(), string(lc.Addresses()[0])); err != nil {
		t.Fatal(err)
	}
	sc, err := s.Client()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := long.Connect(t.Context(), string(sc.Addresses()[0])); err != nil {
		t.Fatal(err)
	}
	value := bytes.Repeat([]byte{7}, 65_411)
	if err := long.Save(t.Context(), []byte("long"), value); err != nil {
		t.Fatal(err)
	}
	got, err := s.Query(t.Context(), []byte("long"))
	if err != nil || !bytes.Equal(got, value) {
		t.Errorf("got %d bytes and %v, want %d", len(got), err, len(value))
	}
	if _, err := seed.UDP(seed.UDPOptions{MaxValue: 65_412}); !errors.Is(err, kad.ErrConfig) {
		t.Errorf("65,412: got %v, want ErrConfig", err)
	}
}
