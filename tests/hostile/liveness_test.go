package hostile

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/actors/connections"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
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

// TestProbeTokens has a node await a token: that opens a session once, from whatever host, and
// nothing else does.
//
// conforms: V 2
func TestProbeTokens(t *testing.T) {
	gamelantest.NoLeak(t)
	n := onTCP(t, 1, gamelan.Config{})
	node := nodetest.Trunk(n).Trunk
	const token = "0123456789abcdef"
	node.ExpectProbe(token, node.Now().Add(time.Hour))
	_, r := asking(t, n, "\xa7pingpong\n")
	closes(t, r)
	_, r = asking(t, n, "\xa7"+token+"\n")
	echoes(t, r, token+"\n")
	gamelantest.Eventually(t, patience, "the event", func() bool {
		all := happened[connections.ProbeSeen](n)
		return len(all) == 1 && all[0].Token == token && strings.HasPrefix(all[0].From.String(), "/ip4/127.0.0.1/")
	})
	_, r = asking(t, n, "\xa7"+token+"\n")
	closes(t, r)
	node.ExpectProbe(token, node.Now())
	_, r = asking(t, n, "\xa7"+token+"\n")
	closes(t, r)
}
