package wirecheck

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// TestOwnNode runs all checks against a node of ours.
//
// conforms: comms 22, 23, 33, 36-38, 44, 45, 48-51, 53, 54, 57, 60, 61, 65, 67
// conforms: comms 73-79, 81-83, 143; V 5, 6
func TestOwnNode(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		network := gamelantest.NewNetwork(t)
		heard := gamelantest.NewCollector()
		n := network.Start(gamelan.Config{NoDHT: true, PlainOnProfile: true}, gamelan.WithHandler(heard.New), gamelan.WithLogger(slog.New(slog.DiscardHandler)))
		client := network.Transport()
		target := Target{
			Dial: func(ctx context.Context) (net.Conn, error) { return client.Dial(ctx, n.Addr) },
			Key:  n.PublicKey(), Network: protocol.LocalNet, UserAgent: "gamelan-interop/test",
		}
		results, blocked, err := Run(t.Context(), target, Checks(), Options{Large: true})
		if err != nil || blocked != nil {
			t.Fatalf("got %v, %v, want a run", blocked, err)
		}
		for _, r := range results {
			want := Pass
			if r.Name == "mux.own-ids" || ofDHT(r.Name) { // it has nothing to say to strangers
				want = NotApplicable
			}
			if r.Status != want {
				t.Errorf("%s: got %s, want %s (expected %s, got %s)", r.Name, r.Status, want, r.Expected, r.Got)
			}
		}
		large := false
		for _, body := range heard.Bodies() {
			large = large || len(body) == maxMessage
		}
		if !large {
			t.Error("the message of 8 MiB: got nothing, want it at the node's handler")
		}
		gamelantest.Healed(t, n.Node)
	})
}

// TestOwnNodeDHT runs the checks of the DHT against a node of ours that has two others
// connected, and those of messages, which the DHT takes here.
//
// conforms: dht 78, 81, 84, 87, 88, 97-101, 103, 104, 106, 111-114
func TestOwnNodeDHT(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		network := gamelantest.NewNetwork(t)
		network.Quiet = false
		quiet := gamelan.WithLogger(slog.New(slog.DiscardHandler))
		n := network.Start(gamelan.Config{DHT: &gamelan.DHTConfig{}}, quiet)
		for range 2 {
			other := network.Start(gamelan.Config{DHT: &gamelan.DHTConfig{}}, quiet)
			if _, err := other.Peers().AddSeed(t.Context(), n.PublicKey().String()+"::"+n.Addresses()[0].String()); err != nil {
				t.Fatal(err)
			}
			if _, err := other.Dial(t.Context(), n.ID()); err != nil {
				t.Fatal(err)
			}
		}
		client := network.Transport()
		target := Target{
			Dial: func(ctx context.Context) (net.Conn, error) { return client.Dial(ctx, n.Addr) },
			Key:  n.PublicKey(), Network: protocol.LocalNet, UserAgent: "gamelan-interop/test",
		}
		checks, err := Select(Checks(), []string{"join", "discovery", "response", "peers", "messaging", "stored"})
		if err != nil {
			t.Fatal(err)
		}
		results, blocked, err := Run(t.Context(), target, checks, Options{})
		if err != nil || blocked != nil {
			t.Fatalf("got %v, %v, want a run", blocked, err)
		}
		for _, r := range results {
			if r.Status != Pass && r.Name != "messaging.large" {
				t.Errorf("%s: got %s, want %s (%s, expected %s, got %s)", r.Name, r.Status, Pass, r.Note, r.Expected, r.Got)
			}
			if want := "2 peers"; r.Name == "peers.listed" && r.Note != want {
				t.Errorf("%s: got %s, want %s", r.Name, r.Note, want)
			}
		}
		gamelantest.Healed(t, n.Node)
	})
}

// ofDHT reports whether a check is one of what a node without a DHT does not do.
func ofDHT(name string) bool {
	group, _, _ := strings.Cut(name, ".")
	return slices.Contains([]string{"join", "discovery", "response", "peers", "stored"}, group)
}

// TestUnreachable: a target that nobody listens at.
func TestUnreachable(t *testing.T) {
	nobody := errors.New("nobody there")
	target := Target{Dial: func(context.Context) (net.Conn, error) { return nil, nobody }}
	_, _, err := Run(t.Context(), target, Checks(), Options{})
	if u := (*UnreachableError)(nil); !errors.As(err, &u) || !errors.Is(err, nobody) {
		t.Errorf("got %v, want an UnreachableError of %v", err, nobody)
	}
}

// TestOnlyThreeAtOnce: while a run goes on no more connections are open than a
// node of any release lets one source set up.
func TestOnlyThreeAtOnce(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		d := startDouble(t, "")
		open := make(chan struct{}, 3)
		dial := d.target.Dial
		d.target.Dial = func(ctx context.Context) (net.Conn, error) {
			select {
			case open <- struct{}{}:
			default:
				t.Error("got a fourth connection at once, want three at most")
			}
			c, err := dial(ctx)
			return &counted{Conn: c, done: open}, err
		}
		if _, _, err := Run(t.Context(), d.target, Checks(), Options{}); err != nil {
			t.Error(err)
		}
	})
}

// counted takes its place with it when it is closed.
type counted struct {
	net.Conn
	done chan struct{}
}

func (c *counted) Close() error {
	err := c.Conn.Close()
	if err == nil {
		<-c.done
	}
	return err
}

// TestCancel: the end of the context ends a run at once.
func TestCancel(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		d := startDouble(t, "")
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		began := time.Now()
		_, _, err := Run(ctx, d.target, Checks(), Options{})
		if took := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || took > 6*time.Second {
			t.Errorf("got %v after %v, want %v after 5s", err, took, context.DeadlineExceeded)
		}
	})
}
