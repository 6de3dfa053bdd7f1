package gamelan_test

import (
	"encoding/binary"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

func stranger(i int) (id identity.NodeID) {
	binary.BigEndian.PutUint32(id[:], uint32(i+1))
	return id
}

// TestUnknownPeersAreRefusedAtOnce sends to twenty thousand ids that nobody
// knows: nothing is made for any of them, and the node closes in time.
func TestUnknownPeersAreRefusedAtOnce(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		n := gamelantest.NewNetwork(t).Start(gamelan.Config{}, gamelan.WithHandler(gamelantest.NewCollector().New))
		synctest.Wait()
		before, handled := len(n.Inspection().Tree().Snapshot()), work(n)
		began := time.Now()
		for i := range 20_000 {
			out, err := n.Send(t.Context(), stranger(i), []byte("anybody?"))
			if err != nil || out.Kind != protocol.Failed || out.Reason != protocol.NoPeer {
				t.Fatalf("send %d: got %v, %v, want failed: no peer", i, out, err)
			}
			if i%1000 == 0 {
				if _, err := n.RPC().Client(stranger(i), "t/nobody/1").Ping(t.Context()); err == nil {
					t.Fatalf("call %d: got nil, want an error", i)
				}
			}
		}
		synctest.Wait()
		if took := time.Since(began); took > 0 {
			t.Errorf("got refusals after %v, want them at once", took)
		}
		if after := len(n.Inspection().Tree().Snapshot()); after != before {
			t.Errorf("got %d actors, want %d as before", after, before)
		}
		if got := work(n) - handled; got > 200 { // 20 calls go through the client's actor
			t.Errorf("got %d messages handled for 20,000 refusals, want nearly none", got)
		}
		if err := n.Close(t.Context()); err != nil {
			t.Errorf("close: got %v, want nil", err)
		}
	})
}

// work is how many messages the node's actors have handled.
func work(n *gamelantest.Node) (handled uint64) {
	for _, info := range n.Inspection().Tree().Snapshot() {
		handled += info.Handled
	}
	return handled
}

// timers counts the timers of actors whose path contains part.
func timers(n *gamelantest.Node, part string) (count int) {
	for _, info := range n.Inspection().Tree().Snapshot() {
		if strings.Contains(info.Path, part) {
			count += info.Timers
		}
	}
	return count
}

// TestDialsLeaveNoTimers has sends and calls to a peer that cannot be reached:
// what waited for a dial goes with the answer, not minutes later.
func TestDialsLeaveNoTimers(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		n, gone := net.Start(gamelan.Config{}), net.Start(gamelan.Config{})
		net.Introduce(n, gone)
		if err := gone.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 30 {
			out, err := n.Send(t.Context(), gone.ID(), []byte("x"))
			wantOutcome(t, "send", out, err, protocol.Failed, protocol.DialFailed)
			if _, err := n.RPC().Client(gone.ID(), "t/nobody/1").Ping(t.Context()); err == nil {
				t.Fatal("call: got nil, want an error")
			}
		}
		synctest.Wait()
		if got := timers(n, gone.ID().String()); got > 1 { // the session's end
			t.Errorf("session: got %d timers after 30 dials, want at most 1", got)
		}
		if got := timers(n, "rpc-client"); got > 1 {
			t.Errorf("rpc-client: got %d timers after 30 dials, want at most 1", got)
		}
	})
}
