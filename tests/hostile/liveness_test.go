package hostile

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/transport"
)

// asking opens a socket to the node and sends the first bytes.
func asking(t *testing.T, n *target, first string) (net.Conn, *bufio.Reader) {
	t.Helper()
	port, err := n.Addresses()[0].ValueForProtocol(ma.P_TCP)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, first); err != nil {
		t.Fatal(err)
	}
	return c, bufio.NewReader(c)
}

func echoes(t *testing.T, r *bufio.Reader, want string) {
	t.Helper()
	if got, err := r.ReadString('\n'); err != nil || got != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

// closes checks that the connection ends with nothing more sent.
func closes(t *testing.T, r *bufio.Reader) {
	t.Helper()
	if got, err := io.ReadAll(r); len(got) > 0 || err != nil && !transport.IsReset(err) {
		t.Errorf("got %q, %v, want the end and nothing sent", got, err)
	}
}

// TestLivenessOverTCP asks nodes that offer it to nobody, to others, and to us.
//
// conforms: comms 25-27; V 2
func TestLivenessOverTCP(t *testing.T) {
	gamelantest.NoLeak(t)
	t.Run("off", func(t *testing.T) {
		n := onTCP(t, 1, gamelan.Config{})
		for _, first := range []string{"\xa7pingpong\n", "\xa6pingpong\n"} {
			_, r := asking(t, n, first)
			closes(t, r)
		}
	})
	t.Run("for others", func(t *testing.T) {
		n := onTCP(t, 1, gamelan.Config{LivenessAllow: []string{"10.0.0.0/8", "127.0.0.2/32"}})
		_, r := asking(t, n, "\xa7pingpong\n")
		closes(t, r)
	})
	t.Run("for us", func(t *testing.T) {
		n := onTCP(t, 1, gamelan.Config{LivenessAllow: []string{"127.0.0.1/32"}})
		for _, first := range []string{"\xa7", "\xa6"} {
			c, r := asking(t, n, first+"pingpong\n")
			echoes(t, r, "pingpong\n")
			line := strings.Repeat("x", 80) + "\n"
			io.WriteString(c, line)
			echoes(t, r, line)
			// There is one slot: a second session is closed, ...
			_, second := asking(t, n, first+"pingpong\n")
			closes(t, second)
			io.WriteString(c, "x"+line) // ... and a longer line ends the first one, ...
			closes(t, r)
			c.Close()
		}
		gamelantest.Eventually(t, patience, "a free slot", func() bool { // ... which frees the slot.
			c, r := asking(t, n, "\xa7pingpong\n")
			defer c.Close()
			got, _ := r.ReadString('\n')
			return got == "pingpong\n"
		})
		send(t, neighbour(t, n), n, "served")
	})
}

// neighbour is a node that knows n.
func neighbour(t *testing.T, n *target) *target {
	t.Helper()
	other := onTCP(t, 2, gamelan.Config{})
	if _, err := other.Peers().AddSeed(t.Context(), n.Seed()); err != nil {
		t.Fatal(err)
	}
	return other
}

// TestSelfCheck has a node ask itself; its own token opens it, and nothing else
// does.
//
// conforms: V 2
func TestSelfCheck(t *testing.T) {
	gamelantest.NoLeak(t)
	n := onTCP(t, 1, gamelan.Config{SelfCheck: 50 * time.Millisecond})
	state := func() actors.Liveness {
		r, err := n.Reachability(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	gamelantest.Eventually(t, patience, "the node live", func() bool { return state().State == actors.LivenessLive })
	if got := state(); got.Latency <= 0 || got.Addr == nil {
		t.Errorf("got %+v, want a latency and the address", got)
	}
	_, r := asking(t, n, "\xa7pingpong\n")
	closes(t, r)
	// Nobody answers at the addresses that are told to others. They are asked in
	// turns, and each turn is a change.
	away := onTCP(t, 2, gamelan.Config{
		SelfCheck: 50 * time.Millisecond, PublicAddresses: []string{"/ip4/127.0.0.1/tcp/1", "/ip4/127.0.0.1/tcp/2"},
	})
	gamelantest.Eventually(t, patience, "the node unreachable", func() bool {
		r, err := away.Reachability(context.Background())
		return err == nil && r.State == actors.LivenessUnreachable && errors.Is(r.Err, transport.ErrRefused)
	})
	gamelantest.Eventually(t, patience, "the event of a change", func() bool { return len(happened[actors.LivenessChanged](away)) > 0 })
	off := onTCP(t, 3, gamelan.Config{})
	if r, err := off.Reachability(t.Context()); err != nil || r.State != actors.LivenessDisabled {
		t.Errorf("without a check: got %+v, %v, want disabled", r, err)
	}
}
