package hostile

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/protocol/manycalls"
	"github.com/gamelan-p2p/gamelan/internal/rawpeer"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
)

const waitMethod = 2

// waiting is a service with a method that echoes, and one that waits for a second, or for ever.
func waiting() rpc.Service {
	s := echoing(func() {})
	s.Methods = append(s.Methods, rpc.UnaryBytes(waitMethod, func(ctx context.Context, b []byte) ([]byte, error) {
		if len(b) == 0 {
			time.Sleep(time.Second)
			return b, nil
		}
		<-ctx.Done()
		return nil, ctx.Err()
	}))
	return s
}

// many opens a session that carries many calls.
func (p *peer) many(id uint32) {
	p.open(id, optimistic(echoService)+framed("\x0a\x02\x00\x01"))
}

// TestCallsWithoutEnd has a few keys of one address open sessions that carry many calls, and calls that do not end on each, while others
// answer what was not asked, break sessions in the middle and reset them: honest callers are served as without the attack.
//
// conforms: V 37, 39
func TestCallsWithoutEnd(t *testing.T) {
	// honest makes 200 calls of a second at once, from a node of its own, and returns how many were answered, and in what time.
	honest := func(n *target, c *gamelantest.Node) (served int, took time.Duration) {
		var mu sync.Mutex
		var wg sync.WaitGroup
		began := time.Now()
		for range 200 {
			wg.Go(func() {
				if _, err := rpc.CallBytes(n.t.Context(), c.RPC().Client(n.ID(), echoService), waitMethod, nil); err == nil {
					mu.Lock()
					served++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		return served, time.Since(began)
	}
	placing(t, gamelan.Config{DHT: &gamelan.DHTConfig{}}, func(t *testing.T, n *target, tr *placed) {
		first := n.client(tr, 1)
		served, took := honest(n, first)
		tr.place("/ip4/6.6.6.6")
		open := func(id uint64) string {
			return string(manycalls.Append(nil, &manycalls.Frame{Call: id, Kind: manycalls.Open, Number: waitMethod, Deadline: 600_000, Last: true, Payload: []byte("x")}))
		}
		for i := range 8 {
			p := connect(t, n.net.Transport(), n.Addr, secretOf(i))
			for k := range uint32(8) {
				id := 2*k + 1
				p.many(id)
				synctest.Wait()
				text := ""
				for call := range uint64(manycalls.MaxCalls) {
					text += open(call + 1)
				}
				switch k % 4 {
				case 1: // an answer to nothing
					text += string(manycalls.Append(nil, &manycalls.Frame{Call: 1, Kind: manycalls.Done}))
				case 2: // half a frame, and the end
					text = text[:len(text)-3]
				}
				for len(text) > 0 {
					part := text[:min(len(text), 16<<10)]
					text = text[len(part):]
					p.must(p.Data(0, id, part))
				}
				if k%4 == 3 {
					p.must(p.Data(rawpeer.RST, id, ""))
				}
			}
		}
		time.Sleep(5 * time.Second)
		for i, c := range []*gamelantest.Node{first, n.client(tr, 2), n.client(tr, 3)} {
			got, in := honest(n, c)
			if got != served || in > took+100*time.Millisecond {
				t.Errorf("client %d: %d calls served in %v beside the attack, %d in %v without", i, got, in, served, took)
			}
			if err := n.echo(c); err != nil {
				t.Errorf("client %d: %v", i, err)
			}
		}
		if served != 200 || took > 1100*time.Millisecond {
			t.Errorf("%d calls in %v without an attack", served, took)
		}
	}, gamelan.WithService(waiting()))
}
