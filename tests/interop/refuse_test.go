package interop

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/transport/upgrade"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// on is a configuration for a network on loopback.
func on(network protocol.Network, release protocol.Release) gamelan.Config {
	profile := protocol.Tari(network)
	profile.WireByte = network.WireByte(release)
	profile.TestAddresses = true
	return gamelan.Config{Profile: &profile, Listen: []string{"/ip4/127.0.0.1/tcp/0"}}
}

// refused waits for the set-up of an inbound connection to fail.
func refused(t *testing.T, n *ours, provoke func()) actors.InboundRejected {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), connectLimit)
	defer cancel()
	heard := make(chan actors.InboundRejected, 1)
	ready := make(chan struct{})
	go func() {
		close(ready)
		for e := range n.Events(ctx) {
			if r, ok := e.Value.(actors.InboundRejected); ok {
				heard <- r
				return
			}
		}
	}()
	<-ready
	time.Sleep(10 * time.Millisecond) // Events subscribes when it is iterated
	provoke()
	select {
	case r := <-heard:
		return r
	case <-ctx.Done():
		t.Fatal("got no refused set-up, want one")
		panic("unreachable")
	}
}

// dialError dials and returns what went wrong.
func dialError(t *testing.T, n *ours, peer peerstore.Peer) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), connectLimit)
	defer cancel()
	if err := n.Peers().Add(ctx, peer); err != nil {
		t.Fatal(err)
	}
	ref, err := n.Dial(ctx, peer.Key.NodeID())
	if err == nil {
		t.Fatalf("dial: got %v, want an error", ref.Addr)
	}
	if !errors.As(err, new(*actors.DialError)) {
		t.Errorf("dial: got %T, want an *actors.DialError", err)
	}
	return err
}

func seedOf(t *testing.T, p *tari) peerstore.Peer {
	t.Helper()
	peer, err := peerstore.ParseSeed(p.seed())
	if err != nil {
		t.Fatal(err)
	}
	return peer
}

// noBan fails the test if either side has banned the other.
func noBan(t *testing.T, n *ours, p *tari) {
	t.Helper()
	if until, reason, ok := n.Peers().Banned(p.id); ok {
		t.Errorf("our side: banned until %v: %s, want no ban", until, reason)
	}
	if r := p.record(n.PublicKey()); r.Banned {
		t.Errorf("their side: banned for %d s: %s, want no ban", r.BannedFor, r.BanReason)
	}
}

// Nodes of another network, that is with another first byte, do not connect.
// Nobody is banned for it.
//
// conforms: comms 22
// feature: another first byte is refused, without a ban
func TestWrongWireByte(t *testing.T) {
	against(t, func(t *testing.T, release string) {
		n, p := startOurs(t, gamelan.Config{}), startTari(t, release, "--wire-byte", "38")
		err := dialError(t, n, seedOf(t, p))
		if e, ok := errors.AsType[*upgrade.Error](err); !ok || e.Stage != upgrade.StageNoise || !errors.Is(err, upgrade.ErrHungUp) {
			t.Errorf("we dial: got %v, want ErrHungUp at the Noise handshake", err)
		}
		p.knowsNode(n.Node)
		r := refused(t, n, func() {
			if err := p.ask("dial", args{"peer": n.PublicKey().String()}, nil); err == nil {
				t.Error("they dial: got a connection, want none")
			}
		})
		if r.Stage != string(upgrade.StageWire) || !errors.Is(r.Err, upgrade.ErrWrongWireByte) {
			t.Errorf("they dial: got %s: %v, want ErrWrongWireByte", r.Stage, r.Err)
		}
		noBan(t, n, p)
	})
}

// With the bytes of a release one connects with nodes of that release, on a
// network where they differ, and with those of another one does not.
//
// conforms: V 1
// feature: first byte of each release where they differ (Esmeralda)
func TestNetworkByteOfTheRelease(t *testing.T) {
	theirs := map[string]struct {
		release protocol.Release
		byte    string
	}{"6.2.0": {protocol.Release6, "202"}, "1.0.0-rc.5": {protocol.ReleaseRC5, "38"}}
	against(t, func(t *testing.T, release string) {
		p := startTari(t, release, "--wire-byte", theirs[release].byte)
		for _, r := range []protocol.Release{protocol.Release6, protocol.Release17, protocol.ReleaseRC5} {
			n := startOurs(t, on(protocol.Esmeralda, r))
			if r == theirs[release].release {
				connect(t, n, p, weDial)
			} else if err := dialError(t, n, seedOf(t, p)); !errors.Is(err, upgrade.ErrHungUp) {
				t.Errorf("bytes of %v: got %v, want ErrHungUp", r, err)
			}
			noBan(t, n, p)
		}
	})
}

// Who answers with another key than expected is not connected with, and not
// banned.
//
// conforms: comms 39
// feature: another key than expected is refused, without a ban
func TestWrongKey(t *testing.T) {
	against(t, func(t *testing.T, release string) {
		n, p := startOurs(t, gamelan.Config{}), startTari(t, release)
		wrong := newSecret(t).PublicKey()
		peer := seedOf(t, p)
		peer.Key, peer.ID = wrong, wrong.NodeID()
		if err := dialError(t, n, peer); !errors.Is(err, upgrade.ErrWrongKey) {
			t.Errorf("we dial: got %v, want ErrWrongKey", err)
		}
		p.knows(wrong, n.Addresses()[0].String())
		if err := p.ask("dial", args{"peer": wrong.String()}, nil); err == nil {
			t.Error("they dial: got a connection, want none")
		}
		for _, key := range []identity.PublicKey{wrong, n.PublicKey()} {
			if r := p.record(key); r.Banned {
				t.Errorf("they banned %s for %d s: %s, want no ban", key.Short(), r.BannedFor, r.BanReason)
			}
		}
		for _, id := range []identity.NodeID{wrong.NodeID(), p.id} {
			if _, reason, ok := n.Peers().Banned(id); ok {
				t.Errorf("we banned %s: %s, want no ban", id.Short(), reason)
			}
		}
		// Both still connect under the right key.
		connect(t, n, p, theyDial)
	})
}
