package rpcpart

import (
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/protocol/manycalls"
	"github.com/gamelan-p2p/gamelan/internal/turns"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
)

// TestLooksAtDeadlines: the actor of a session looks at it before the deadline of each call, whichever calls have ended before it looked.
func TestLooksAtDeadlines(t *testing.T) {
	const idle = 10 * time.Minute
	now := time.Unix(1000, 0)
	clock := &clockTrunk{now: now}
	asked := 0
	m := &servedCalls{
		s: &servedSession{shared: &Calls{trunk: clock}, tell: func(any) { asked++ }}, machine: manycalls.NewServer(rpc.MaxRequest), running: make(map[*servedCall]struct{}),
		since: now,
	}
	m.gather = gather{mu: &m.mu, news: turns.News{L: &m.mu}}
	open := func(id uint64, limit time.Duration) *servedCall {
		e, err := m.machine.Received(&manycalls.Frame{Call: id, Kind: manycalls.Open, Payload: []byte{1}})
		if err != nil {
			t.Fatal(err)
		}
		k := &servedCall{c: e.Call, limit: limit}
		e.Call.User = k
		m.goesOn(k)
		return k
	}
	first := open(1, 10*time.Second)
	m.due(clock.now, idle)
	clock.now = now.Add(time.Second)
	m.machine.End(first.c)
	m.machine.End(open(2, time.Second).c)
	at, _ := m.due(clock.now, idle)
	if asked != 2 {
		t.Errorf("the actor was asked %d times for two deadlines, each earlier than what it knew", asked)
	}
	clock.now = now.Add(1500 * time.Millisecond)
	last := open(3, 20*time.Second)
	if asked == 2 && at.After(last.until) {
		t.Errorf("the actor looks %v after the beginning, and the call ends after %v", at.Sub(now), last.until.Sub(now))
	}
	m.machine.End(last.c)
	asked = 0
	for id := range uint64(100) { // quick calls, which end before the actor has looked
		clock.now = clock.now.Add(time.Millisecond)
		m.machine.End(open(id+4, 20*time.Second).c)
		if m.asked {
			m.due(clock.now, idle)
		}
	}
	if asked > 1 {
		t.Errorf("100 quick calls asked the actor %d times", asked)
	}
}
