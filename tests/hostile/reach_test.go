package hostile

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/actors/peerbook"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/transport"
)

// TestOwnAddress has others claim the node's own address, and an address that is
// excluded: neither is ever dialled, and the failure is final and counts against
// nobody.
//
// conforms: comms 16
func TestOwnAddress(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		n := start(t, gamelan.Config{ExcludeDial: []string{"/memory/60001", "/ip4/10.*.1:9.1/tcp/*"}})
		l, err := n.net.Transport().Listen(t.Context(), ma.StringCast("/memory/60001"))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		for i, addresses := range []string{n.Addr.String(), "/memory/60001", n.Addr.String() + "::/memory/60001", "/ip4/10.200.5.1/tcp/9"} {
			id, err := n.Peers().AddSeed(t.Context(), secretOf(i).PublicKey().String()+"::"+addresses)
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			_, err = n.Dial(t.Context(), id)
			if !errors.Is(err, actors.ErrExcluded) {
				t.Errorf("%s: got %v, want %v", addresses, err, actors.ErrExcluded)
			}
			if took := time.Since(began); took > 0 {
				t.Errorf("%s: got an answer after %v, want it at once", addresses, took)
			}
			release := n.Protect(id, "test")
			time.Sleep(5 * time.Minute)
			release()
			if p, _ := n.Peers().Get(id); p.Offline() {
				t.Errorf("%s: got the peer counted as failed, want it untouched", addresses)
			}
			if got := n.Inspection().Peer(id).Attempts; len(got) > 0 {
				t.Errorf("%s: got %v dialled, want nothing", addresses, got)
			}
		}
		if got := happened[actors.DialFailed](n); len(got) > 0 {
			t.Errorf("got %d failed dials in the events, want none", len(got))
		}
		// What is left beside an excluded address is dialled.
		secret := secretOf(9)
		good := listen(t, n, secret)
		if _, err := n.Peers().AddSeed(t.Context(), secret.PublicKey().String()+"::/memory/60001::"+n.Addr.String()); err != nil {
			t.Fatal(err)
		}
		done := dialing(n, secret.NodeID())
		p := accept(t, good, secret)
		if err := <-done; err != nil {
			t.Errorf("beside excluded addresses: got %v, want a connection", err)
		}
		p.hangUp()
		n.serves()
	})
}

// TestGivenAddressFirst has the user say where a known peer is now: that address
// is tried first by the next dial, and by that one alone.
func TestGivenAddressFirst(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		n := start(t, gamelan.Config{})
		key := secretOf(1).PublicKey()
		dial := func(want ...string) {
			t.Helper()
			seen := actors.DialAttempt{At: time.Now(), Addr: ma.StringCast("/memory/60100"), Took: time.Second, Handshake: time.Millisecond}
			n.System().Root.Send(nodetest.Trunk(n).Peers(), peerbook.SeenPeer{Peer: key.NodeID(), Attempts: []actors.DialAttempt{seen}})
			time.Sleep(time.Second)
			_, err := n.Dial(t.Context(), key.NodeID())
			failed, ok := errors.AsType[*actors.DialError](err)
			if !ok {
				t.Fatalf("got %v, want a failed dial", err)
			}
			var got []string
			for _, a := range failed.Attempts {
				got = append(got, a.Addr.String())
			}
			if !slices.Equal(got, want) {
				t.Errorf("got %v dialled, want %v", got, want)
			}
		}
		add := func(addr string) {
			t.Helper()
			if _, err := n.Peers().AddSeed(t.Context(), key.String()+"::"+addr); err != nil {
				t.Fatal(err)
			}
		}
		add("/memory/60100")
		dial("/memory/60100")
		add("/memory/60101")
		dial("/memory/60101", "/memory/60100")
		dial("/memory/60100", "/memory/60101")
		add("/memory/60101") // known and failed, and said once more
		dial("/memory/60101", "/memory/60100")
	})
}

// TestAddressOrder has a peer with five addresses of known quality dialled: the
// best is tried first, and one after the other.
//
// conforms: comms 112, 120
func TestAddressOrder(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		n := start(t, gamelan.Config{})
		secret := secretOf(1)
		id := secret.NodeID()
		seed := secret.PublicKey().String()
		for i := range 5 {
			seed += fmt.Sprintf("::/memory/%d", 60100+i)
		}
		if _, err := n.Peers().AddSeed(t.Context(), seed); err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		stats := []actors.DialAttempt{
			{At: now.Add(-100 * time.Second), Addr: ma.StringCast("/memory/60103"), Took: time.Second, Handshake: time.Millisecond},
			{At: now.Add(-10 * time.Second), Addr: ma.StringCast("/memory/60101"), Took: time.Second, Handshake: time.Millisecond},
			{At: now.Add(-time.Second), Addr: ma.StringCast("/memory/60100"), Err: errors.New("down")},
			{At: now, Addr: ma.StringCast("/memory/60104"), Took: time.Second, Handshake: 5 * time.Second},
		}
		for _, a := range stats {
			n.System().Root.Send(nodetest.Trunk(n).Peers(), peerbook.SeenPeer{Peer: id, Attempts: []actors.DialAttempt{a}})
		}
		time.Sleep(time.Second)
		_, err := n.Dial(t.Context(), id)
		failed, ok := errors.AsType[*actors.DialError](err)
		if !ok {
			t.Fatalf("got %v, want a failed dial", err)
		}
		// 101 seen 10 s ago; 104 now, but slow; 103 100 s ago; 102 never dialled, and 100 failed.
		want := []string{"/memory/60101", "/memory/60104", "/memory/60103", "/memory/60102", "/memory/60100"}
		var got []string
		for _, a := range failed.Attempts {
			got = append(got, a.Addr.String())
			if a.By != "" && a.By != "the API" {
				t.Errorf("asked by %q, want the API", a.By)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		// All of them are offline now, and the list of attempts says who asked.
		synctest.Wait()
		if p, _ := n.Peers().Get(id); !p.Offline() {
			t.Errorf("got %v, want every address failed", p.Addresses)
		}
		for _, a := range n.Inspection().Peer(id).Attempts {
			if a.By != "the API" || a.Stage != string(transport.StageConnect) || a.Err == nil {
				t.Errorf("got attempt %+v, want one by the API that failed to connect", a)
			}
		}
		if i := slices.IndexFunc(mustPeer(t, n, id).Addresses, func(a peerstore.Address) bool { return a.Attempts == 0 }); i >= 0 {
			t.Errorf("got address %d without a failure", i)
		}
		n.serves()
	})
}

func mustPeer(t *testing.T, n *target, id [13]byte) peerstore.Peer {
	t.Helper()
	p, ok := n.Peers().Get(id)
	if !ok {
		t.Fatal("the peer is not known")
	}
	return p
}

// TestAttemptsOutliveTheDialer keeps the last 32 attempts of each peer, whatever
// happens to the dialer.
func TestAttemptsOutliveTheDialer(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		n := start(t, gamelan.Config{})
		id, err := n.Peers().AddSeed(t.Context(), secretOf(1).PublicKey().String()+"::/memory/60100")
		if err != nil {
			t.Fatal(err)
		}
		release := n.Protect(id, "test")
		for range 40 {
			n.Dial(t.Context(), id)
			time.Sleep(time.Second)
		}
		release()
		before := n.Inspection().Peer(id).Attempts
		if len(before) != 32 {
			t.Errorf("got %d attempts remembered, want 32", len(before))
		}
		if !slices.ContainsFunc(before, func(a actors.DialAttempt) bool { return strings.Contains(a.By, "test-") }) {
			t.Errorf("got no attempt for the one who holds the peer")
		}
		gamelantest.Crash(n.Node.Node, "dialer", "a test")
		gamelantest.Healed(t, n.Node.Node)
		if got := n.Inspection().Peer(id).Attempts; len(got) != 32 {
			t.Errorf("after a crash of the dialer: got %d attempts, want 32", len(got))
		}
		for i := range 600 { // more peers than are remembered
			id, err := n.Peers().AddSeed(t.Context(), secretOf(10+i).PublicKey().String()+"::/memory/60100")
			if err != nil {
				t.Fatal(err)
			}
			n.Dial(t.Context(), id)
		}
		if got := nodetest.Trunk(n).Dials().Len(); got != 512 {
			t.Errorf("got %d peers remembered, want 512", got)
		}
		synctest.Wait()
	})
}

// TestAllowed has the same offence come from a peer on the allow list and from
// another: only the other is banned, by rule or on request.
//
// conforms: comms 123
func TestAllowed(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		friend := secretOf(1).NodeID()
		n := start(t, gamelan.Config{Allow: []string{friend.String()}})
		for i := range 2 {
			p := connect(t, n.net.Transport(), n.Addr, secretOf(1+i))
			p.open(1, propose(0x80, "t/msg/0.1")) // unknown flags: 2 h
			n.disconnected(p.id(), actors.CloseViolation, nil)
			if i == 0 {
				n.banned(p.id(), 0)
			} else {
				n.banned(p.id(), 2*time.Hour)
				_, reason, _ := n.Peers().Banned(p.id())
				for _, part := range []string{"high", "2h0m0s", "negotiation", "inbound connection", "/memory/"} {
					if !strings.Contains(reason, part) {
						t.Errorf("reason: got %q, want %q in it", reason, part)
					}
				}
			}
		}
		if err := n.Peers().Ban(t.Context(), friend, time.Hour, "a test"); !errors.Is(err, actors.ErrSpared) {
			t.Errorf("ban on request of an allowed peer: got %v, want %v", err, actors.ErrSpared)
		}
		n.banned(friend, 0)
		p := connect(t, n.net.Transport(), n.Addr, secretOf(1))
		n.stillConnected(p, 1)

		if err := n.Peers().Disallow(t.Context(), friend); err != nil {
			t.Fatal(err)
		}
		if err := n.Peers().Ban(t.Context(), friend, time.Hour, "a test"); err != nil {
			t.Error(err)
		}
		n.banned(friend, time.Hour) // stored and announced
		n.disconnected(friend, actors.CloseBanned, nil)
		if err := n.Peers().Allow(t.Context(), friend); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		n.banned(friend, 0)
		n.serves()
	})
}
