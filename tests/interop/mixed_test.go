package interop

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
	"github.com/gamelan-p2p/gamelan/tests/interop/testpb"
)

// mixedFor is how long the mixed traffic lasts.
func mixedFor() time.Duration {
	if os.Getenv("GAMELAN_INTEROP_LONG") != "" {
		return 10 * time.Minute
	}
	return 10 * time.Second
}

// keptShortly has a node of 6.2.0 take back after 8 s the places of RPC sessions
// whose connection it has ended itself, instead of 10 min (see
// TestTariKeepsSessions): it does that every two seconds here, and a peer has 10
// places.
var keptShortly = map[string][]string{"6.2.0": {"--rpc-idle-seconds", "8"}}

// traffic is what goes between two nodes.
type traffic struct {
	*testing.T
	n            *ours
	p            *tari
	sent, theirs uint64
}

// Messages of many sizes, substreams and calls go both ways side by side, for ten
// seconds or, asked for, ten minutes; every second or so either side disconnects
// when all is answered, and either dials. Nothing fails, everything arrives once
// and in order, and nobody is banned.
//
// feature: mixed traffic with reconnects, nobody banned
func TestMixedTraffic(t *testing.T) {
	t.Parallel()
	against(t, func(t *testing.T, release string) {
		t.Parallel()
		n, p, _ := rpcPair(t, release, weDial, gamelan.Config{}, keptShortly[release]...)
		m := &traffic{T: t, n: n, p: p}
		ctx, cancel := context.WithTimeout(t.Context(), mixedFor()+2*time.Minute)
		defer cancel()
		end := time.Now().Add(mixedFor())
		var connected sync.RWMutex // held for writing while they are not
		var kinds sync.WaitGroup
		var rounds [6]atomic.Int64
		for i, kind := range []func(context.Context) error{
			m.ourMessages, m.theirMessages, m.ourStream, m.theirStream, m.ourCall, m.theirCall,
		} {
			kinds.Go(func() {
				for time.Now().Before(end) && !t.Failed() {
					connected.RLock()
					if err := kind(ctx); err != nil {
						t.Errorf("%s, round %d: %v", [...]string{
							"our messages", "their messages", "our stream", "their stream", "our call", "their call",
						}[i], rounds[i].Load(), err)
					}
					connected.RUnlock()
					rounds[i].Add(1)
					time.Sleep(20 * time.Millisecond)
				}
			})
		}
		reconnects := 0
		for time.Now().Before(end) && !t.Failed() {
			time.Sleep(time.Second)
			connected.Lock()
			m.reconnect(ctx, reconnects)
			connected.Unlock()
			reconnects++
		}
		kinds.Wait()
		for i := range rounds {
			if rounds[i].Load() < 10 {
				t.Errorf("kind %d: got %d rounds, want more", i, rounds[i].Load())
			}
		}
		t.Logf("%d messages of ours, %d of theirs, %d reconnects", m.sent, m.theirs, reconnects)
		gamelantest.Eventually(t, connectLimit, "all messages there", func() bool { return p.received(n.PublicKey()).Count >= m.sent })
		gamelantest.Eventually(t, connectLimit, "all messages here", func() bool { return n.heard(p.id).Count >= m.theirs })
		there, here := p.received(n.PublicKey()), n.heard(p.id)
		there.wantAll(t, "there", 0, m.sent)
		here.wantAll(t, "here", 0, m.theirs)
		noBan(t, n, p)
	})
}

// sizeOf is the size of the messages of a batch.
func sizeOf(first uint64) int { return 32 << (first / 20 % 12) }

// arrive waits until count messages have: what is on its way when a connection
// ends may be lost.
func arrive(ctx context.Context, count func() uint64, want uint64) error {
	for count() < want {
		select {
		case <-ctx.Done():
			return fmt.Errorf("got %d messages, want %d: %w", count(), want, ctx.Err())
		case <-time.After(time.Millisecond):
		}
	}
	return nil
}

func (m *traffic) ourMessages(ctx context.Context) error {
	got, err := m.n.sendAll(ctx, m.p.id, batch{first: m.sent, count: 20, size: sizeOf(m.sent)})
	if err != nil || got.count[protocol.Confirmed] != 20 {
		return fmt.Errorf("got %v, %w", got, err)
	}
	m.sent += 20
	key := m.n.PublicKey()
	return arrive(ctx, func() uint64 { return m.p.countOf(key) }, m.sent)
}

// countOf is how many messages the node has heard of a peer.
func (p *tari) countOf(from identity.PublicKey) uint64 {
	var a arrived
	if err := p.ask("received", args{"peer": from.String()}, &a); err != nil {
		return 0
	}
	return a.Count
}

func (m *traffic) theirMessages(ctx context.Context) error {
	r, err := m.p.send(m.n.PublicKey(), batch{first: m.theirs, count: 20, size: sizeOf(m.theirs)})
	if err != nil || r.Sent != 20 {
		return fmt.Errorf("got %+v, %w", r, err)
	}
	m.theirs += 20
	return arrive(ctx, func() uint64 { return m.n.heard(m.p.id).Count }, m.theirs)
}

func (m *traffic) ourStream(ctx context.Context) error {
	s, err := m.n.OpenStream(ctx, m.p.id, echoID)
	if err == nil {
		echoed(m.T, s, 10_000)
	}
	return err
}

func (m *traffic) theirStream(context.Context) error {
	var r struct{ Read, Damaged int }
	err := m.p.ask("open", args{"peer": m.n.PublicKey().String(), "protocol": string(echoID), "size": 10_000}, &r)
	if err == nil && (r.Read != 10_000 || r.Damaged != 0) {
		err = fmt.Errorf("got %+v, want 10000 bytes", r)
	}
	return err
}

func (m *traffic) ourCall(ctx context.Context) error {
	r, err := rpc.Call[testpb.Hello, testpb.Hello](ctx, m.n.RPC().Client(m.p.id, rpcID), sayHello, &testpb.Hello{Text: "you"})
	if err == nil && r.Text != "Hello, you" {
		err = fmt.Errorf("got %q", r.Text)
	}
	return err
}

func (m *traffic) theirCall(context.Context) error {
	session, err := m.p.rpcOpen(m.n.PublicKey().String(), nil)
	if err != nil {
		return err
	}
	if r, err := m.p.rpc(session, "hello", args{"name": "you"}); err != nil || r.Greeting != "Hello, you" {
		return fmt.Errorf("got %+v, %w", r, err)
	}
	return m.p.ask("rpc_close", args{"session": session}, nil)
}

// reconnect ends the connection from one side and has one side dial: each of the
// four in turn.
func (m *traffic) reconnect(ctx context.Context, turn int) {
	m.Helper()
	us := args{"peer": m.n.PublicKey().String()}
	if turn%2 == 0 {
		if err := m.n.Disconnect(ctx, m.p.id); err != nil {
			m.Errorf("disconnect: %v", err)
		}
	} else if err := m.p.ask("disconnect", us, nil); err != nil {
		m.Errorf("they disconnect: %v", err)
	}
	gamelantest.Eventually(m.T, connectLimit, "the end of the connection", func() bool {
		_, ok := m.n.Connection(m.p.id)
		return !ok && len(m.p.links()) == 0
	})
	if turn/2%2 == 0 {
		if _, err := m.n.Dial(ctx, m.p.id); err != nil {
			m.Errorf("dial: %v", err)
		}
	} else if err := m.p.ask("dial", args{"peer": m.n.PublicKey().String()}, nil); err != nil {
		m.Errorf("they dial: %v", err)
	}
	gamelantest.Eventually(m.T, connectLimit, "the connection at both", func() bool {
		_, ok := m.n.Connection(m.p.id)
		return ok && len(m.p.links()) == 1
	})
}
