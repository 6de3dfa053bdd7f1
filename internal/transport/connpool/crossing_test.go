package connpool

import (
	"fmt"
	"os"
	"testing"

	"github.com/gamelan-p2p/gamelan/identity"
)

// TestCrossedDials has two nodes of ours dial each other, in every order of
// events. In the end they have one connection, the same; both messages were
// heard, and neither was written in vain: the loser ends after what is on it.
//
// conforms: comms 115, 117
func TestCrossedDials(t *testing.T) {
	m := model{t: t, ids: [2]identity.NodeID{small, large}}
	m.explore()
	m.log("two of ours")
	if m.endings["dialled by 0"] == 0 || m.endings["dialled by 1"] == 0 {
		t.Errorf("got endings %v, want either dial to survive in some", m.endings)
	}
}

// TestCrossedDialsDisturbed adds that one node disconnects, at any moment, or
// that the network cuts one connection. There may be none then, but both nodes
// agree on that, and each message was heard or failed.
//
// conforms: comms 115, 117
func TestCrossedDialsDisturbed(t *testing.T) {
	for _, c := range []struct {
		what string
		model
	}{
		{"the smaller disconnects", model{ids: [2]identity.NodeID{small, large}, leaves: true}},
		{"the larger disconnects", model{ids: [2]identity.NodeID{large, small}, leaves: true}},
		{"one connection cut", model{ids: [2]identity.NodeID{small, large}, cuts: 1}},
	} {
		c.t = t
		c.explore()
		c.log(c.what)
	}
}

// TestCrossedDialsWithRust has a Rust node in the place of one of ours. It is
// left with the same connection as we are, and neither with none.
//
// conforms: comms 114-115, 117
func TestCrossedDialsWithRust(t *testing.T) {
	asks := int8(1)
	if os.Getenv("GAMELAN_LONG") == "1" {
		asks = 2 // half a million states
	}
	for _, ids := range [][2]identity.NodeID{{small, large}, {large, small}} {
		m := model{t: t, ids: ids, rust: true, asks: asks}
		m.explore()
		m.log("a Rust node")
		if m.endings["none"] > 0 {
			t.Errorf("got endings %v, want always a connection", m.endings)
		}
	}
}

// Who closes the loser of a tie-break at once is left without a connection by a
// Rust node: this is what the proof is for.
func TestCrossedDialsWithRustInHaste(t *testing.T) {
	m := model{t: t, ids: [2]identity.NodeID{large, small}, rust: true, asks: 1, hasty: true}
	m.explore()
	m.log("a Rust node, without proofs")
	if m.endings["none"] == 0 {
		t.Errorf("got endings %v, want some without a connection: the model does not show the fault", m.endings)
	}
}

// Who closes the loser without waiting for what was written on it loses that,
// since the other side may have used it before it knew of the winner.
func TestCrossedDialsEndedAbruptly(t *testing.T) {
	m := model{t: t, ids: [2]identity.NodeID{small, large}, abrupt: true}
	m.explore()
	m.log("two of ours, abruptly")
	for at := range 2 {
		if what := fmt.Sprintf("what node %d has written is lost", at); m.broken[what] == 0 {
			t.Errorf("got %v, want messages of node %d lost: the model does not show the fault", m.broken, at)
		}
	}
}

func (m *model) log(what string) {
	m.t.Helper()
	m.t.Logf("%s: %d states, endings %v", what, m.states, m.endings)
}
