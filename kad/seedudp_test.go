package kad_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/kad"
	"github.com/gamelan-p2p/gamelan/kad/seed"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// seedClient starts a client of the overlay Seed on a socket of loopback.
func seedClient(t *testing.T, h kad.Host, name string, o seed.UDPOptions) *kad.Client {
	t.Helper()
	n, err := seed.UDP(o)
	if err != nil {
		t.Fatal(err)
	}
	c, err := kad.Start(t.Context(), h, kad.Config{Name: name, Overlay: kad.Seed, AllowPrivate: true, Networks: []kad.Network{n}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func seedHost(t *testing.T, o kad.StandaloneOptions) *kad.Standalone {
	t.Helper()
	h, err := kad.NewStandalone(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := h.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return h
}

// gatewayOf returns the figures of the gateway of a client that has one.
func gatewayOf(t *testing.T, h *kad.Standalone, client string) supervisor.Info {
	t.Helper()
	for _, i := range h.Root().Snapshot() {
		if strings.HasSuffix(i.Path, "/"+client+"/gateways/0") {
			return i
		}
	}
	t.Fatalf("%s: got no gateway in the tree", client)
	return supervisor.Info{}
}

// patience is how long a test waits for a state: more than a machine under load needs.
const patience = 4 * time.Minute

// eventually repeats a question until the answer is yes. Package gamelantest imports this one,
// so that its Eventually cannot be used here.
func eventually(t *testing.T, what string, yes func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !yes(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// TestGatewayIsKilledUnderLoad has the gateway of a client fail four times, while others ask
// it and it asks others; besides, one packet of a hundred makes it panic, which costs no
// restart. It binds the same port again, calls that were under way end with a typed error,
// what the client has saved is still found, views can be read all the time, and every token
// comes back.
//
// conforms: kad 56, 61, 63
func TestGatewayIsKilledUnderLoad(t *testing.T) {
	var kills, asks, packets, contained atomic.Int32
	var armed atomic.Bool
	h := seedHost(t, kad.StandaloneOptions{Logger: slog.New(slog.DiscardHandler), Fault: func(path, point string) {
		if !armed.Load() || !strings.Contains(path, "/victim/gateways/0") {
			return
		}
		switch point {
		case "*kad.ask": // a bug of this node: the actor is restarted
			if asks.Add(1)%100 == 0 && kills.Load() < 4 {
				kills.Add(1)
				panic("a fault for a test")
			}
		case "*kad.arrived", "*kad.served": // one that a peer has caused: the message is dropped
			if packets.Add(1)%100 == 0 {
				contained.Add(1)
				panic("a fault for a test")
			}
		}
	}})
	victim := seedClient(t, h, "victim", seed.UDPOptions{})
	at := victim.Addresses()[0]
	var others []*kad.Client
	for i := range 4 {
		c := seedClient(t, h, fmt.Sprint("other-", i), seed.UDPOptions{})
		eventually(t, "a node is connected", func() bool { _, err := c.Connect(t.Context(), string(at)); return err == nil })
		others = append(others, c)
	}
	if _, err := victim.PutOpaque(t.Context(), []byte("key"), []byte("value")); err != nil && !errors.Is(err, kad.ErrNoPeers) {
		t.Fatal(err)
	}
	armed.Store(true)
	stop, end := context.WithCancel(t.Context())
	var load sync.WaitGroup
	for i, c := range append(others, victim) {
		for j := range 4 {
			load.Go(func() {
				for n := 0; stop.Err() == nil; n++ {
					ctx, cancel := context.WithTimeout(stop, time.Second)
					k, err := c.Key(fmt.Appendf(nil, "absent %d %d %d", i, j, n))
					if err != nil {
						t.Error(err)
					}
					_, err = c.Get(ctx, k)
					cancel()
					_, failed := errors.AsType[*kad.LookupFailedError](err)
					_, limit := errors.AsType[*kad.LimitError](err)
					switch {
					case errors.Is(err, kad.ErrNotFound), errors.Is(err, kad.ErrIsolated), errors.Is(err, kad.ErrNoPeers), errors.Is(err, kad.ErrRestarted),
						errors.Is(err, kad.ErrBusy), failed, limit, errors.Is(err, context.DeadlineExceeded), stop.Err() != nil:
					default:
						t.Errorf("got %v, want a typed error", err)
					}
					if c.View() == nil {
						t.Error("got no view")
					}
				}
			})
		}
	}
	eventually(t, "the gateway has failed four times", func() bool { return kills.Load() == 4 && contained.Load() > 10 })
	end()
	load.Wait()
	eventually(t, "the gateway is open again", func() bool {
		i := gatewayOf(t, h, "victim")
		return i.Restarts >= 4 && slices.Contains(i.Tasks, "receive")
	})
	// Others may be ignored for a minute: the victim has panicked on three packets of theirs.
	late := seedClient(t, h, "late", seed.UDPOptions{})
	eventually(t, "the gateway answers again, at its port", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		who, err := late.Connect(ctx, string(at))
		return err == nil && who.ID == victim.ID()
	})
	k, err := victim.Key([]byte("key"))
	if err != nil {
		t.Fatal(err)
	}
	if r, err := victim.Get(t.Context(), k); err != nil || string(r.Value) != "value" {
		t.Errorf("got %v and %v, want the value that was saved before", r, err)
	}
	if i := gatewayOf(t, h, "victim"); i.Restarts != 4 {
		t.Errorf("got %d restarts, want 4, in spite of %d panics on packets; the last: %v", i.Restarts, contained.Load(), i.LastFailure)
	}
	eventually(t, "every token is back", func() bool {
		requests, answers, stores := kad.Held(victim)
		return requests == 0 && answers == 0 && stores == 0
	})
}

// TestGatewayWaitsForItsPort takes the port of a client while its gateway is restarted, and
// gives it back: that costs the gateway no second restart, and it has the same port again.
func TestGatewayWaitsForItsPort(t *testing.T) {
	var at atomic.Value
	var kills, binds atomic.Int32
	h := seedHost(t, kad.StandaloneOptions{Logger: slog.New(slog.DiscardHandler), Fault: func(path, point string) {
		if !strings.HasSuffix(path, "/victim/gateways/0") {
			return
		}
		switch {
		case point == "*kad.direct" && kills.Add(1) == 1:
			panic("a fault for a test")
		case point == "task bind" && binds.Add(1) == 2:
			taken, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at.Load().(netip.AddrPort)))
			if err != nil {
				t.Error(err)
				return
			}
			time.AfterFunc(200*time.Millisecond, func() { taken.Close() })
		}
	}})
	victim, other := seedClient(t, h, "victim", seed.UDPOptions{}), seedClient(t, h, "other", seed.UDPOptions{})
	own := victim.Addresses()[0]
	socket, _, _ := own.AddrPort()
	at.Store(socket)
	if _, err := victim.Connect(t.Context(), string(other.Addresses()[0])); err == nil {
		t.Error("got an answer from a gateway that has failed")
	}
	eventually(t, "the gateway answers at its port", func() bool { // a packet that the other socket gets is not sent again
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		who, err := other.Connect(ctx, string(own))
		return err == nil && who.ID == victim.ID()
	})
	if victim.Addresses()[0] != own || binds.Load() != 2 {
		t.Errorf("got %s bound %d times, want %s again", victim.Addresses(), binds.Load(), own)
	}
	if i := gatewayOf(t, h, "victim"); i.Restarts != 1 || kills.Load() != 1 {
		t.Errorf("got %d restarts, want 1; the last failure: %v", i.Restarts, i.LastFailure)
	}
}

// TestSeedUDPFirstBind starts a client while its port is still in use: the gateway tries again,
// as after a restart.
func TestSeedUDPFirstBind(t *testing.T) {
	taken, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	var binds atomic.Int32
	h := seedHost(t, kad.StandaloneOptions{Logger: slog.New(slog.DiscardHandler), Fault: func(_, point string) {
		if point == "task bind" {
			binds.Add(1)
			time.AfterFunc(200*time.Millisecond, func() { taken.Close() })
		}
	}})
	at := taken.LocalAddr().(*net.UDPAddr)
	c := seedClient(t, h, "first", seed.UDPOptions{Listen: fmt.Sprintf("/ip4/127.0.0.1/udp/%d", at.Port)})
	if own := c.Addresses(); len(own) != 1 || binds.Load() != 1 {
		t.Errorf("got %v after %d tasks that bind, want one address after one", own, binds.Load())
	}
}

// TestSeedUDPConfig refuses what cannot work, and fails at the start for a port that stays in
// use.
func TestSeedUDPConfig(t *testing.T) {
	t.Parallel() // mostly waits
	for _, o := range []seed.UDPOptions{
		{Listen: "nonsense"},
		{Listen: "/ip4/127.0.0.1/tcp/0"},
		{IDLen: 33},
		{MaxValue: 65_412},
	} {
		if _, err := seed.UDP(o); !errors.Is(err, kad.ErrConfig) {
			t.Errorf("%+v: got %v, want ErrConfig", o, err)
		}
	}
	h := seedHost(t, kad.StandaloneOptions{})
	first := seedClient(t, h, "first", seed.UDPOptions{})
	n, err := seed.UDP(seed.UDPOptions{Listen: string(first.Addresses()[0])})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err = kad.Start(ctx, h, kad.Config{Name: "second", Overlay: kad.Seed, Networks: []kad.Network{n}})
	if err == nil || !strings.Contains(err.Error(), "already in use") {
		t.Errorf("got %v, want one that says that the port is in use", err)
	}
}

// TestSeedUDPEverywhere binds all addresses and names those of this machine.
func TestSeedUDPEverywhere(t *testing.T) {
	h := seedHost(t, kad.StandaloneOptions{})
	a := seedClient(t, h, "a", seed.UDPOptions{Listen: "/ip4/0.0.0.0/udp/0", Addresses: []kad.Address{"/ip4/192.0.2.1/udp/9"}})
	own := a.Addresses()
	if len(own) < 2 || own[len(own)-1] != "/ip4/192.0.2.1/udp/9" || strings.Contains(string(own[0]), "0.0.0.0") {
		t.Fatalf("got %v, want an address of this machine and the given one", own)
	}
	b := seedClient(t, h, "b", seed.UDPOptions{})
	if who, err := b.Connect(t.Context(), string(own[0])); err != nil || who.ID != a.ID() {
		t.Errorf("%s: got %v and %v, want %v", own[0], who.ID, err, a.ID())
	}
}
