package gamelan_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// submitAll submits n messages of size bytes to b, and returns a function that counts
// their outcomes when all have one.
func submitAll(t *testing.T, a, b *gamelantest.Node, n, size int) (outcomes func() map[protocol.OutcomeKind]int) {
	t.Helper()
	pending := make(chan *gamelan.Pending[gamelan.Outcome], n)
	go func() { // Submit waits for credit
		defer close(pending)
		for i := range n {
			body := make([]byte, size)
			copy(body, []byte{byte(i), byte(i >> 8), byte(i >> 16)})
			p, err := a.Submit(t.Context(), b.ID(), body)
			if err != nil {
				return
			}
			pending <- p
		}
	}()
	return func() map[protocol.OutcomeKind]int {
		counts := make(map[protocol.OutcomeKind]int)
		for p := range pending {
			counts[p.Wait(t.Context()).Kind]++
		}
		return counts
	}
}

// keptAfter starts the closed node anew and returns how many messages its inbox has.
func keptAfter(t *testing.T, net *gamelantest.Network, cfg gamelan.Config, c gamelan.InboxConfig) int {
	t.Helper()
	n := net.Start(cfg, gamelan.WithInbox(c))
	synctest.Wait()
	s := n.Inbox().Status()
	if s.Loading || s.Err != nil {
		t.Fatalf("got the inbox %+v, want it read", s)
	}
	return s.Messages
}

// TestCloseReadsWhatIsConfirmed closes a node while a confirmed message waits in the
// multiplexer: the task that reads it has not begun.
func TestCloseReadsWhatIsConfirmed(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		var slow atomic.Bool
		slow.Store(true)
		cfg := gamelan.Config{DataDir: t.TempDir()}
		a := net.Start(gamelan.Config{})
		b := net.Start(cfg, gamelan.WithInbox(gamelan.InboxConfig{}), gamelan.WithFault(func(path, point string) {
			if slow.Load() && strings.Contains(path, "/plain/") && strings.HasPrefix(point, "task reader") {
				time.Sleep(100 * time.Millisecond)
			}
		}))
		net.Connect(a, b)
		out, err := a.Send(t.Context(), b.ID(), []byte("a message"))
		wantOutcome(t, "send", out, err, protocol.Confirmed, protocol.ReasonNone)
		if got := b.Inbox().Status().Received; got != 0 {
			t.Fatalf("got %d messages in the inbox already, want the reader to be slow", got)
		}
		if err := b.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if got := keptAfter(t, net, cfg, gamelan.InboxConfig{}); got != 1 {
			t.Errorf("got %d messages kept, want the confirmed one", got)
		}
	})
}

// TestCloseKeepsBeyondAFullInbox closes a node whose inbox is full: the inbox keeps what
// was confirmed beyond its limit.
func TestCloseKeepsBeyondAFullInbox(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		cfg, limits := gamelan.Config{DataDir: t.TempDir()}, gamelan.InboxConfig{MaxMessages: 100}
		a := net.Start(gamelan.Config{})
		b := net.Start(cfg, gamelan.WithInbox(limits))
		net.Connect(a, b)
		outcomes := submitAll(t, a, b, 10_000, 200)
		time.Sleep(5 * time.Second)
		if s := b.Inbox().Status(); !s.Full || s.Waiting == 0 {
			t.Fatalf("got the inbox %+v, want it full", s)
		}
		if err := b.Close(t.Context()); err != nil {
			t.Error(err)
		}
		a.Close(t.Context())
		got := outcomes()
		if kept := keptAfter(t, net, cfg, limits); kept < got[protocol.Confirmed] || got[protocol.Confirmed] < 3000 {
			t.Errorf("got %d kept of %v, want all that were confirmed, and these more than the credit", kept, got)
		}
	})
}

// TestCloseOfTwoAtOnce closes two nodes at once with messages under way both ways: neither
// waits for proofs that the other gives no more.
func TestCloseOfTwoAtOnce(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		heard := gamelantest.NewCollector()
		a := net.Start(gamelan.Config{}, gamelan.WithHandler(heard.New))
		b := net.Start(gamelan.Config{}, gamelan.WithHandler(heard.New))
		net.Connect(a, b)
		net.SetLink(slowLink)
		there, back := submitAll(t, a, b, 1000, 1000), submitAll(t, b, a, 1000, 1000)
		time.Sleep(300 * time.Millisecond)
		began := time.Now()
		done := make(chan error, 2)
		for _, n := range []*gamelantest.Node{a, b} {
			go func() { done <- n.Close(t.Context()) }()
		}
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("Close took %v of virtual time, want a few round trips", took)
		}
		to, from := there(), back()
		t.Log(to, from)
		if n := to[protocol.Confirmed] + from[protocol.Confirmed]; heard.Len() < n {
			t.Errorf("got %d heard, want the %d confirmed ones", heard.Len(), n)
		}
	})
}
