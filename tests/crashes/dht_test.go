package crashes

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// withDHT has a node take part in the DHT, beside its plain messages.
func withDHT() gamelan.Config {
	return gamelan.Config{DHT: &gamelan.DHTConfig{}, PlainID: "t/plain/1", Floor: gamelan.NoFloor}
}

// postType is the message type of what goes over the DHT.
const postType = 1001

// posts are messages that one node sends to another over the DHT.
type posts struct {
	from, to *gamelantest.Node
	heard    *gamelantest.Collector // at to

	mu   sync.Mutex
	n    int
	sent map[string]*gamelan.Pending[dht.Report]
}

func newPosts(from, to *gamelantest.Node) *posts {
	return &posts{from: from, to: to, sent: make(map[string]*gamelan.Pending[dht.Report])}
}

// send sends one of each kind: in clear, signed, encrypted, and to whoever is
// connected.
func (p *posts) send(ctx context.Context) {
	to := dht.DirectKey{Key: p.to.PublicKey()}
	for _, m := range []dht.Message{
		{To: to},
		{To: to, Sign: true},
		{To: to, Encrypt: true},
		{To: dht.Propagate{To: p.to.PublicKey()}, Encrypt: true},
		{To: dht.Flood{}},
	} {
		p.mu.Lock()
		p.n++
		body := fmt.Sprintf("%d from node %d", p.n, p.from.Number)
		p.mu.Unlock()
		m.Type, m.Body = postType, []byte(body)
		s, err := p.from.DHT().Submit(ctx, m)
		if err != nil {
			continue // not accepted
		}
		p.mu.Lock()
		p.sent[body] = s
		p.mu.Unlock()
	}
	p.from.DHT().Ping(ctx, p.to.ID())
}

// check waits for the end of every message, and compares: each has one report,
// none was heard twice, none was heard that failed; with sure, each that was
// confirmed was heard.
func (p *posts) check(t *testing.T, sure bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*dht.DefaultLimit)
	defer cancel()
	times := make(map[string]int)
	for _, m := range p.heard.Delivered() {
		times[string(m.Body)]++
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for body, s := range p.sent {
		r := s.Wait(ctx)
		heard := times[body]
		switch {
		case !r.Ended():
			t.Errorf("%q: got no end within its limit: %v", body, r.String())
		case heard > 1:
			t.Errorf("%q: heard %d times, want at most once", body, heard)
		case r.Failed() && heard > 0:
			t.Errorf("%q: %v, but it was heard", body, r.String())
		case sure && r.Count(protocol.Confirmed) > 0 && heard == 0:
			t.Errorf("%q: %v, but it was not heard", body, r.String())
		}
	}
	if accepted, ended := nodetest.DHT(p.from).Ledger.Counts(); accepted != ended {
		t.Errorf("node %d: got %d accepted, %d ended, want as many", p.from.Number, accepted, ended)
	}
	t.Logf("node %d: %d sent over the DHT, %d heard", p.from.Number, len(p.sent), len(times))
	clear(p.sent)
}
