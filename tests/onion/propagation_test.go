package onion

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/transport/tor"
)

// propagated is the type of the messages of the reference's program propagation_stress.
const propagated = 999

// arrivals are the times at which messages arrived, by their tags.
type arrivals struct {
	mu sync.Mutex
	at map[uint64]time.Time
}

func (a *arrivals) add(m dht.Received) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, known := a.at[m.Tag]; !known {
		a.at[m.Tag] = time.Now()
	}
}

func (a *arrivals) get(tag uint64) (time.Time, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	at, ok := a.at[tag]
	return at, ok
}

// TestPropagationOverTor is the reference's program propagation_stress over onion services: a
// client sends numbered messages to another client, first directly, then encrypted through a
// node between them. Each arrives; the delays are reported.
//
// spec: dht 13.3
func TestPropagationOverTor(t *testing.T) {
	net := network(t)
	got := &arrivals{at: map[uint64]time.Time{}}
	hear := gamelan.WithType(propagated, gamelan.Handle(got.add))
	a := newOnionNode(t, net.Clients[0], gamelan.Config{Client: true}, hear)
	b := newOnionNode(t, net.Clients[1], gamelan.Config{Client: true}, hear)
	between := newOnionNode(t, net.Clients[2], gamelan.Config{})
	for _, n := range []*onionNode{a, b, between} {
		n.since(0, tor.Published)
		n.advertised()
	}
	a.know(b)
	for _, n := range []*onionNode{a, b} {
		n.know(between)
		n.redial(between)
	}
	a.redial(b)
	for _, way := range []struct {
		name    string
		to      dht.Strategy
		encrypt bool
	}{
		{"direct", dht.Direct{Peer: b.ID()}, false},
		{"propagated", dht.Propagate{To: b.PublicKey(), Exclude: []identity.NodeID{b.ID()}}, true},
	} {
		const count, size = 200, 256
		begun := map[uint64]time.Time{}
		var pending []*gamelan.Pending[dht.Report]
		for i := range count {
			tag := uint64(len(way.name)<<16 + i + 1)
			begun[tag] = time.Now()
			p, err := a.DHT().Submit(t.Context(), dht.Message{
				To: way.to, Type: propagated, Body: stress(size), Tag: tag, Encrypt: way.encrypt, Sign: !way.encrypt,
			})
			if err != nil {
				t.Fatalf("%s: message %d: %v", way.name, i, err)
			}
			pending = append(pending, p)
		}
		for i, p := range pending {
			if r := p.Wait(t.Context()); r.Count(gamelan.Confirmed) == 0 {
				t.Errorf("%s: message %d: got %v, want it confirmed", way.name, i, r)
			}
		}
		var delays []time.Duration
		for limit := time.Now().Add(time.Minute); len(delays) < count && time.Now().Before(limit); time.Sleep(time.Millisecond) {
			delays = delays[:0]
			for tag, begin := range begun {
				if at, ok := got.get(tag); ok {
					delays = append(delays, at.Sub(begin))
				}
			}
		}
		if len(delays) != count {
			t.Fatalf("%s: got %d of %d messages", way.name, len(delays), count)
		}
		slices.Sort(delays)
		at := func(percent int) time.Duration { return delays[(count-1)*percent/100].Round(time.Millisecond) }
		t.Logf("%s: %d messages of %d bytes, none lost; delay p50 %v, p95 %v, p99 %v", way.name, count, size, at(50), at(95), at(99))
	}
}

// stress is a message as the reference's program writes it: a number, bytes, and the time.
func stress(size int) []byte {
	now := time.Now().Format(time.RFC1123Z)
	b := []byte{1 << 3, 1, 2<<3 | 2, byte(size) | 0x80, byte(size >> 7)}
	b = append(b, slices.Repeat([]byte{1}, size)...)
	return fmt.Appendf(append(b, 3<<3|2, byte(len(now))), "%s", now)
}
