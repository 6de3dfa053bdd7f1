package dht_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/internal/stepped"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// stepAt is when the clock is set in tests of that.
const stepAt = 10 * time.Minute

// eachStep runs f with a clock that is set forward by a day, and with one that
// is set back by a day: at gives what it shows so long after the beginning.
func eachStep(t *testing.T, f func(t *testing.T, by time.Duration, at func(time.Duration) time.Time)) {
	t.Helper()
	for _, by := range []time.Duration{24 * time.Hour, -24 * time.Hour} {
		t.Run(fmt.Sprint(by), func(t *testing.T) {
			begin := time.Now()
			f(t, by, func(since time.Duration) time.Time {
				now := begin.Add(since)
				if since >= stepAt {
					now = stepped.Time(now, by)
				}
				return now
			})
		})
	}
}

// TestPongsClock: a peer that pings once a minute for a day gets every answer, and the
// limit does not change when the system's clock steps.
func TestPongsClock(t *testing.T) {
	eachStep(t, func(t *testing.T, _ time.Duration, at func(time.Duration) time.Time) {
		p, answered := dht.NewPongs(), 0
		for i := range 1380 {
			if p.Ping(at(time.Duration(i)*time.Minute), nodeOf(1)) {
				answered++
			}
		}
		if answered != 1380 {
			t.Errorf("got %d of 1380 pings answered, want all", answered)
		}
		answered = 0
		for i := range 2 * dht.PongLimit { // the step is in the middle
			if p.Ping(at(stepAt+time.Duration(i-dht.PongLimit)*100*time.Millisecond), nodeOf(2)) {
				answered++
			}
		}
		if answered != dht.PongLimit {
			t.Errorf("got %d of a burst answered, want %d", answered, dht.PongLimit)
		}
	})
}

// TestRelayRateClock: messages below the rate limit are relayed when the clock steps.
func TestRelayRateClock(t *testing.T) {
	eachStep(t, func(t *testing.T, _ time.Duration, at func(time.Duration) time.Time) {
		d := newDesk(t, villagers, func(o *dht.OutboundOptions) { o.RelayLimit = 3 })
		for i := range 600 {
			d.now = at(time.Duration(i) * 30 * time.Second)
			d.relay(relayed(1), dht.Flood{})
			if len(d.writes) != 4 {
				t.Fatalf("message %d: got it relayed to %d peers, want 4", i, len(d.writes))
			}
			d.settleAll(confirmed)
		}
	})
}

// TestPaceClock: a paced peer gets its share of each minute, no more and no less.
func TestPaceClock(t *testing.T) {
	eachStep(t, func(t *testing.T, _ time.Duration, at func(time.Duration) time.Time) {
		d := newDesk(t, villagers, func(o *dht.OutboundOptions) { o.Pace = 2 })
		d.paced[idOf("a")] = true
		for i, want := range []int{1, 1, 0} { // the third has to wait
			d.now = at(stepAt - 2*time.Second + time.Duration(i)*time.Second)
			d.send(dht.Message{To: dht.Direct{Peer: idOf("a")}})
			if len(d.writes) != want {
				t.Fatalf("message %d: got %d writes, want %d", i, len(d.writes), want)
			}
			d.settleAll(confirmed)
		}
		d.now = at(stepAt + 57*time.Second)
		d.wake = time.Time{} // it has come
		if d.apply(d.o.Due(d.now)); len(d.writes) != 0 {
			t.Fatalf("got %d writes within the minute, want none", len(d.writes))
		}
		d.now = at(stepAt + 58*time.Second)
		d.wake = time.Time{} // it has come
		if d.apply(d.o.Due(d.now)); len(d.writes) != 1 {
			t.Fatalf("got %d writes after the minute, want 1", len(d.writes))
		}
	})
}

// TestSendLimitClock: a send ends 60 s after it was accepted, and its report says
// so.
func TestSendLimitClock(t *testing.T) {
	eachStep(t, func(t *testing.T, _ time.Duration, at func(time.Duration) time.Time) {
		d := newDesk(t, villagers, nil)
		d.now = at(stepAt - 30*time.Second)
		id := d.send(dht.Message{To: dht.Direct{Peer: idOf("a")}})
		d.now = at(stepAt + 20*time.Second)
		d.wake = time.Time{} // it has come
		if d.apply(d.o.Due(d.now)); d.ends[id] != 0 {
			t.Fatal("got the send ended after 50 s, want it under way")
		}
		d.now = at(stepAt + 31*time.Second)
		d.wake = time.Time{} // it has come
		if d.apply(d.o.Due(d.now)); d.ends[id] != 1 {
			t.Fatal("got the send under way after 61 s, want it ended")
		}
		if r := d.report(id); r.End.Sub(r.Begin) != 61*time.Second {
			t.Errorf("got a report of %v, want 61s", r.End.Sub(r.Begin))
		}
	})
}

// TestFloodClock: a flood is found across the step, and nobody else is.
func TestFloodClock(t *testing.T) {
	eachStep(t, func(t *testing.T, _ time.Duration, at func(time.Duration) time.Time) {
		f := dht.NewFloodMeter(3)
		for i := range 600 {
			if v := f.Count(at(time.Duration(i)*30*time.Second), nodeOf(1)); v != nil {
				t.Fatalf("message %d: got %v, want none of two in a minute", i, v)
			}
		}
		var v *protocol.Violation
		for i := range 4 {
			v = f.Count(at(stepAt+time.Duration(i-2)*time.Second), nodeOf(2))
		}
		if v == nil {
			t.Error("got no offence of four messages in 4 s, want one")
		}
	})
}

// TestRelayBytesClock: a source has its bytes of each minute, no more and no less.
func TestRelayBytesClock(t *testing.T) {
	eachStep(t, func(t *testing.T, _ time.Duration, at func(time.Duration) time.Time) {
		m := dht.NewRelayMeter[string](2)
		for i := range 600 {
			if err := m.Take(at(time.Duration(i)*30*time.Second), "A", 1); err != nil {
				t.Fatalf("message %d: got %v, want two bytes in a minute relayed", i, err)
			}
		}
		for i, want := range []bool{true, true, false} { // the step is before the third
			if got := m.Take(at(stepAt+time.Duration(i-2)*time.Second), "B", 1) == nil; got != want {
				t.Errorf("byte %d: got relayed %v, want %v", i+1, got, want)
			}
		}
	})
}

// TestPingsClock: pings are late after their limit, and their round trips right.
func TestPingsClock(t *testing.T) {
	eachStep(t, func(t *testing.T, _ time.Duration, at func(time.Duration) time.Time) {
		p, r := dht.NewPings(), rand.New(rand.NewPCG(1, 2))
		before := at(stepAt - time.Second)
		nonce, _ := p.Send(before, nodeOf(1), 1, r)
		p.Send(before, nodeOf(2), 2, r)
		if _, took, ok := p.Pong(at(stepAt+time.Second), nodeOf(1), nonce); !ok || took != 2*time.Second {
			t.Errorf("got an answer after %v, %t, want 2s", took, ok)
		}
		if ids, _ := p.Late(at(stepAt + dht.PingLimit - 2*time.Second)); len(ids) != 0 {
			t.Errorf("got %v late a second too soon", ids)
		}
		if ids, _ := p.Late(at(stepAt + dht.PingLimit)); len(ids) != 1 {
			t.Errorf("got %v late, want the other ping", ids)
		}
	})
}

// TestStuckClock: a handler is stuck when it has finished nothing for its limit.
func TestStuckClock(t *testing.T) {
	eachStep(t, func(t *testing.T, _ time.Duration, at func(time.Duration) time.Time) {
		b, work := dht.NewBacklog[int](1<<20, func(dht.Holder) {}), new(dht.Work)
		before := at(stepAt - time.Second)
		for i := range 8 {
			b.Add(before, nodeOf(1), 7, work, 1<<18, i)
		}
		if n, _ := b.Waiting(); n == 0 {
			t.Fatal("got nothing that waits, want a handler that holds messages")
		}
		if out := b.Look(at(stepAt + dht.StuckAfter - 2*time.Second)); len(out) != 0 {
			t.Errorf("got %d messages released a second too soon, want none", len(out))
		}
		if out := b.Look(at(stepAt + dht.StuckAfter)); len(out) == 0 || out[0].Fate != dht.FateDrop {
			t.Errorf("got %d messages released, want them dropped", len(out))
		}
	})
}

// TestExpiryClock: expiries of messages, ours and others', are by the system's clock as
// it is set now.
func TestExpiryClock(t *testing.T) {
	for _, ahead := range []time.Duration{0, 24 * time.Hour, -24 * time.Hour} {
		n := newNode(t, nil)
		n.ahead = ahead
		d := signed(t)
		d.Expires = uint64(n.now.Add(time.Hour).Unix())
		want := dht.Delivered
		if ahead > 0 {
			want = dht.Expired
		}
		if _, v := n.handle(compose(t, d)); v.Reason != want {
			t.Errorf("ahead %v: got %v for a message of the next hour, want %v", ahead, v.Reason, want)
		}
		desk := newDesk(t, villagers, nil)
		desk.ahead = ahead
		desk.send(dht.Message{To: dht.Direct{Peer: idOf("a")}, Expires: time.Hour})
		e := decode(t, desk.writes[0].Frame)
		if got, want := e.Header.Expires, uint64(desk.now.Add(ahead).Add(time.Hour).Unix()); got != want {
			t.Errorf("ahead %v: got a message that expires at %d, want %d", ahead, got, want)
		}
	}
}

// TestDedupClock: the times of last hits have the order of the hits, and records
// of the future do not end that.
func TestDedupClock(t *testing.T) {
	for _, ahead := range []time.Duration{0, 24 * time.Hour, -24 * time.Hour} {
		d, begin := dht.NewDedup(100), time.Unix(expires, 0)
		d.Load(dht.DedupRecord{Hash: hashOf(0), Hits: 1, LastHit: begin.Add(time.Minute)})
		for i := range 60 {
			wall := begin.Add(time.Duration(i) * time.Second)
			if i >= 30 {
				wall = wall.Add(ahead)
			}
			d.Count(hashOf(i), nodeOf(1), wall)
			d.Own(hashOf(i+60), nodeOf(1), wall)
		}
		last := make(map[wire.Hash]time.Time)
		for _, r := range d.Changes(1000).Put {
			last[r.Hash] = r.LastHit
		}
		for i := range 59 {
			if !last[hashOf(i)].Before(last[hashOf(i+60)]) && i >= 20 || !last[hashOf(i+60)].Before(last[hashOf(i+1)]) && i >= 20 {
				t.Errorf("ahead %v: got hits %d, %d and %d at %v, %v and %v, want them in order", ahead, i, i+60, i+1,
					last[hashOf(i)], last[hashOf(i+60)], last[hashOf(i+1)])
			}
		}
	}
}
