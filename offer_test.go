package gamelan_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/peerstore"
)

// A dial at given addresses tries these first, says their own error, and stores none that
// has not worked.
func TestDialAt(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{})
		const nobody, noOne = "/memory/4000", "/memory/4001"
		key := b.PublicKey().String()
		stored := func() (addrs []string) {
			p, _ := a.Peers().Get(b.ID())
			for _, x := range p.Addresses {
				addrs = append(addrs, x.Addr.String())
			}
			return addrs
		}
		fails := func(seed string, want ...string) {
			t.Helper()
			_, err := a.DialAt(t.Context(), seed)
			d, ok := errors.AsType[*gamelan.DialError](err)
			if !ok || d.Err == nil {
				t.Fatalf("got %v, want a DialError", err)
			}
			for _, w := range want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("got %v, want %q in it", err, w)
				}
			}
			if strings.Contains(strings.Join(stored(), " "), "400") {
				t.Errorf("got the addresses %v stored, want none that has not worked", stored())
			}
		}

		for range 2 {
			fails(key+"::"+nobody, "dial "+nobody+": ")
		}
		if _, ok := a.Peers().Get(b.ID()); ok {
			t.Error("got the peer stored, want nothing")
		}
		time.Sleep(11 * time.Second)
		if _, err := a.Dial(t.Context(), b.ID()); !errors.Is(err, actors.ErrUnknownPeer) {
			t.Errorf("after the dial: got %v, want %v", err, actors.ErrUnknownPeer)
		}
		out, err := a.Send(t.Context(), b.ID(), []byte("x"))
		if err != nil || !errors.Is(out.Err, actors.ErrUnknownPeer) {
			t.Errorf("a message after the dial: got %v, %v", out, err)
		}
		fails(key+"::"+nobody+"::"+noOne, "all 2 given addresses failed", nobody) // noOne was never tried, so it comes first
		other := net.Start(gamelan.Config{})
		fails(other.PublicKey().String()+"::"+b.Seed()[strings.Index(b.Seed(), "::")+2:], "/memory/")

		// A message may follow the offer, and fails with the error of the address.
		if _, err := a.Peers().Offer(t.Context(), key+"::"+nobody); err != nil {
			t.Fatal(err)
		}
		if out, err := a.Send(t.Context(), b.ID(), []byte("x")); err != nil || out.Err == nil || !strings.Contains(out.Err.Error(), "dial "+nobody) {
			t.Errorf("a message to an address where nobody is: got %v, %v", out, err)
		}

		// An offer that nobody takes up ends.
		if _, err := a.Peers().Offer(t.Context(), key+"::"+nobody); err != nil {
			t.Fatal(err)
		}
		time.Sleep(61 * time.Second)
		if _, err := a.Dial(t.Context(), b.ID()); !errors.Is(err, actors.ErrUnknownPeer) {
			t.Errorf("after a minute: got %v, want %v", err, actors.ErrUnknownPeer)
		}

		// The one of two that works is stored. The peer is no seed.
		right := b.Seed()[len(key)+2:]
		conn, err := a.DialAt(t.Context(), key+"::"+nobody+"::"+right)
		if err != nil {
			t.Fatal(err)
		}
		if conn.Addr.String() != right {
			t.Errorf("got a connection to %s, want %s", conn.Addr, right)
		}
		p, _ := a.Peers().Get(b.ID())
		if got := stored(); len(got) != 1 || got[0] != right || p.Flags&peerstore.FlagSeed != 0 {
			t.Errorf("got %v, flags %v, want %s of a peer that is no seed", got, p.Flags, right)
		}

		// A seed that is offered stays one, and so does one that is added as none.
		s := net.Start(gamelan.Config{})
		if _, err := a.Peers().AddSeed(t.Context(), s.Seed()); err != nil {
			t.Fatal(err)
		}
		for _, add := range []func(context.Context, string) (identity.NodeID, error){a.Peers().Offer, a.Peers().AddAt} {
			id, err := add(t.Context(), s.Seed())
			if err == nil {
				_, err = a.Dial(t.Context(), id)
			}
			if p, _ := a.Peers().Get(s.ID()); err != nil || p.Flags&peerstore.FlagSeed == 0 {
				t.Errorf("got flags %v, %v, want a seed to stay one", p.Flags, err)
			}
			if err := a.Disconnect(t.Context(), s.ID()); err != nil {
				t.Fatal(err)
			}
		}
		added := net.Start(gamelan.Config{})
		if _, err := a.Peers().AddAt(t.Context(), added.Seed()); err != nil {
			t.Fatal(err)
		}
		if p, ok := a.Peers().Get(added.ID()); !ok || p.Flags&peerstore.FlagSeed != 0 {
			t.Errorf("AddAt: got %v, flags %v, want a peer that is no seed", ok, p.Flags)
		}

		// Known addresses follow those that were given.
		if err := a.Disconnect(t.Context(), b.ID()); err != nil {
			t.Fatal(err)
		}
		if conn, err := a.DialAt(t.Context(), key+"::"+nobody); err != nil || conn.Addr.String() != right {
			t.Errorf("got %v, %v, want the known address to work", conn, err)
		}
		if again, err := a.DialAt(t.Context(), key+"::"+noOne); err != nil || again.Peer != b.ID() {
			t.Errorf("of a connected peer: got %v, %v, want the connection", again, err)
		}
		net.Partition(a, b)
		if err := a.Disconnect(t.Context(), b.ID()); err != nil {
			t.Fatal(err)
		}
		fails(key+"::"+nobody, "dial "+nobody+": ", "; 1 known address failed as well: dial "+right+": ")
		time.Sleep(11 * time.Second)
		if _, err := a.Dial(t.Context(), b.ID()); err == nil || strings.Contains(err.Error(), nobody) {
			t.Errorf("got %v, want nothing of an address of an earlier dial", err)
		}
		net.Heal(a, b)

		if _, err := a.DialAt(t.Context(), a.Seed()); !errors.Is(err, actors.ErrSelf) {
			t.Errorf("of the node itself: got %v, want %v", err, actors.ErrSelf)
		}
		if _, err := a.DialAt(t.Context(), key); !errors.Is(err, peerstore.ErrBadSeed) {
			t.Errorf("without an address: got %v, want %v", err, peerstore.ErrBadSeed)
		}
	})
}
