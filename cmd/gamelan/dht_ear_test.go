package main

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/dht"
)

// countedLease counts how often the credit of a message came back.
type countedLease struct{ back atomic.Int32 }

func (l *countedLease) Finish()      {}
func (l *countedLease) Discard()     { l.back.Add(1) }
func (l *countedLease) Keep() func() { return func() { l.back.Add(1) } }
func (l *countedLease) Source() any  { return "somebody" }

func (l *countedLease) await(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(patience); l.back.Load() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the credit did not come back")
		}
	}
}

// hand gives the inbox a message over the DHT as an ear does.
func (b *testInbox) hand(body string) *countedLease {
	l := new(countedLease)
	m := dht.Received{Body: []byte(body), Type: 7, Lease: l}
	m.Lease = handedOn(m)
	b.sys.Root.Send(b.pid, m)
	return l
}

func TestInboxHoldsTheCreditOfMessagesOverTheDHT(t *testing.T) {
	b := startInbox(t)
	b.hand("nobody listens").await(t)
	taken := b.pull(1, 0).messages[0].Seq
	held := b.hand("one listens")
	m := b.pull(1, taken).messages[0]
	if d := m.DHT; string(m.Body) != "one listens" || d == nil || d.Type != 7 || m.From != "" {
		t.Errorf("got %+v", m)
	}
	if n := held.back.Load(); n != 0 {
		t.Errorf("the credit came back %d times before the listener took the message", n)
	}
	b.receive(0, 1)
	b.pull(1, m.Seq)
	held.await(t)
	if n := held.back.Load(); n != 1 {
		t.Errorf("the credit came back %d times, want once", n)
	}
}

func TestMessageThatNoInboxTakesGivesItsCreditBack(t *testing.T) {
	l := new(countedLease)
	m := dht.Received{Lease: l}
	m.Lease = handedOn(m)
	m.Discard()
	if n := l.back.Load(); n != 1 {
		t.Errorf("got it back %d times, want once", n)
	}
	if m.Source() != "somebody" {
		t.Errorf("got source %v, want the peer's", m.Source())
	}
}
