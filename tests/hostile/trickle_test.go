package hostile

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/nodetest"
)

// TestTrickle has more peers announce messages of 8 MiB than the node has credit
// for, and send a byte a second. Small messages of others arrive at once, a large
// one once the peers were given up, and nothing is left of them.
//
// conforms: V 15
func TestTrickle(t *testing.T) {
	bubble(t, func(t *testing.T, n *target) {
		small := connect(t, n.net.Transport(), n.Addr, secretOf(1))
		large := connect(t, n.net.Transport(), n.Addr, secretOf(2))
		var slow []*peer
		for i := range 20 {
			p := connect(t, n.net.Transport(), n.Addr, secretOf(10+i))
			p.open(1, optimistic(messaging)+announced(8<<20))
			slow = append(slow, p)
		}
		synctest.Wait()
		used, limit, _, _ := nodetest.Trunk(n).Credit()
		if used < 32<<20 || used > limit/2 {
			t.Fatalf("got %d bytes of credit held, want at least 32 MiB and at most half of %d", used, limit)
		}
		n.stillConnected(small, 1)
		body := strings.Repeat("x", 200<<10)
		large.open(1, optimistic(messaging)+framed(body))
		for second := range 120 {
			for _, p := range slow {
				if s := p.Stream(1); !s.RST && !s.FIN {
					p.must(p.Data(0, 1, "."))
				}
			}
			if second == 3 {
				n.stillConnected(small, 3)
			}
			time.Sleep(time.Second)
		}
		n.heardIs("on stream 1", "on stream 3", body)
		if used, _, _, _ := nodetest.Trunk(n).Credit(); used != 0 {
			t.Errorf("got %d bytes of credit in use, want none", used)
		}
		for _, p := range slow {
			if s := p.Stream(1); !s.RST && !s.FIN {
				t.Error("got a substream that trickles, want it given up")
			}
			n.banned(p.id(), 0)
		}
	})
}

// TestSlowIsNoTrickle has a peer send a large message at 20 KiB a second: it
// arrives.
func TestSlowIsNoTrickle(t *testing.T) {
	connected(t, func(t *testing.T, n *target, p *peer) {
		body := strings.Repeat("x", 2<<20)
		p.open(1, optimistic(messaging)+announced(uint32(len(body))))
		spent := len(optimistic(messaging)) + 4
		for rest := body; rest != ""; time.Sleep(time.Second) {
			rest = rest[p.window(1, rest[:min(len(rest), 20<<10)], &spent):]
		}
		n.heardIs(body)
	})
}
