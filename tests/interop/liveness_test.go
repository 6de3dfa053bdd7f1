package interop

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/transport/liveness"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// TestLivenessOfTari asks a Tari node whether it is there, as a node of ours asks
// itself: it echoes. The older release does so after another byte.
//
// feature: liveness on the raw socket, we ask
// note: 1.0.0-rc.5: answers to the byte 0xA6, not 0xA7
func TestLivenessOfTari(t *testing.T) {
	against(t, func(t *testing.T, release string) {
		p := startTari(t, release)
		c, err := net.Dial("tcp", p.tcp())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if release == "6.2.0" {
			s, _, err := liveness.Ask(c, "pingpong", 5*time.Second)
			for i := 0; err == nil && i < 3; i++ {
				_, err = s.Ping()
			}
			if err != nil {
				t.Errorf("got %v, want every line echoed", err)
			}
			return
		}
		c.SetDeadline(time.Now().Add(connectLimit))
		if _, err := c.Write([]byte{protocol.OldLivenessByte}); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(c)
		for i := range 4 {
			line := fmt.Sprintf("line %d\n", i)
			if _, err := c.Write([]byte(line)); err != nil {
				t.Fatal(err)
			}
			if got, err := lines.ReadString('\n'); err != nil || got != line {
				t.Fatalf("got %q, %v, want %q echoed", got, err, line)
			}
		}
	})
}

// TestLivenessOfOurs has a Tari node ask ours whether it is there: what it takes
// for its own public address is ours. It finds it live, or unreachable when we
// do not let it ask. Nobody is banned for asking.
//
// feature: liveness on the raw socket, they ask
func TestLivenessOfOurs(t *testing.T) {
	against(t, func(t *testing.T, release string) {
		for _, c := range []struct {
			name, want string
			allow      []string
		}{
			{"allowed", "Live", []string{"127.0.0.1/32"}},
			{"not allowed", "Unreachable", nil},
		} {
			t.Run(c.name, func(t *testing.T) {
				n := startOurs(t, gamelan.Config{LivenessAllow: c.allow})
				p := startTari(t, release, "--public", n.Listening()[0].String(), "--liveness-ms", "100")
				var r struct{ Status string }
				gamelantest.Eventually(t, connectLimit, "that it finds us "+c.want, func() bool {
					p.must("liveness", nil, &r)
					return strings.HasPrefix(r.Status, c.want)
				})
				noBan(t, n, p)
			})
		}
	})
}
