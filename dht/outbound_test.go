package dht_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// plain is a message of that number to one peer.
func plain(name string, n uint64) dht.Message {
	return dht.Message{To: dht.Direct{Peer: idOf(name)}, Body: numbered(n)}
}

// cost is what a message of plain counts for.
func costOf(t *testing.T) int64 {
	t.Helper()
	d := newDesk(t, villagers, nil)
	d.send(dht.Message{To: dht.Selected{Peers: []identity.NodeID{idOf("a")}}, Body: numbered(1), Tag: 1})
	return int64(len(d.writes[0].Frame)) + 256
}

// same is a message to one peer whose frame always has the same length.
func same(name string, n uint64) dht.Message {
	return dht.Message{To: dht.Selected{Peers: []identity.NodeID{idOf(name)}}, Body: numbered(n), Tag: 1}
}

// written returns the numbers of the messages that the last event gave out.
func (d *desk) written() (all []uint64) {
	d.t.Helper()
	for _, w := range d.writes {
		all = append(all, numberOf(d.t, w.Frame))
	}
	return all
}

func (d *desk) wrote(want ...uint64) {
	d.t.Helper()
	if got := d.written(); !slices.Equal(got, want) {
		d.t.Errorf("got messages %v written, want %v", got, want)
	}
}

// TestOutcomes: each peer has its own outcome, and the last one ends the send.
//
// conforms: dht 64
func TestOutcomes(t *testing.T) {
	d := newDesk(t, villagers, nil)
	id := d.send(dht.Message{To: dht.Broadcast{}})
	w := slices.Clone(d.writes)
	if to(w) != "abcd" {
		t.Fatalf("got %q, want abcd", to(w))
	}
	d.settle(w[0], confirmed)
	d.settle(w[1], unreached)
	d.settle(w[2], refused)
	if r := d.report(id); r.Ended() || r.Open() != 1 {
		t.Errorf("got ended %v, %d open, want false, 1", r.Ended(), r.Open())
	}
	d.now = d.now.Add(time.Second)
	d.settle(w[3], confirmed)
	r := d.ended(id, 0)
	for i, want := range []protocol.Outcome{confirmed, unreached, refused, confirmed} {
		if c := r.Copies[i]; c.Peer != w[i].Peer || c.Outcome != want || c.Tries != 1 {
			t.Errorf("copy %d: got %v %v, %d tries, want %v %v, 1", i, c.Peer, c.Outcome, c.Tries, w[i].Peer, want)
		}
	}
	if !r.End.Equal(d.now) || !r.Copies[0].At.Equal(d.start) {
		t.Errorf("got end %v, first outcome %v", r.End, r.Copies[0].At)
	}
	if c := d.o.Counts(); c.Sends != 1 || c.Copies != 4 || c.Confirmed != 2 || c.Failed != 2 || c.InDoubt != 0 || c.Tries != 4 {
		t.Errorf("got %+v", c)
	}
	d.nothing()
}

// TestWindow: to one peer only so much is given out before the first outcome,
// one message always; other peers have their own.
func TestWindow(t *testing.T) {
	one := costOf(t)
	d := newDesk(t, villagers, func(o *dht.OutboundOptions) { o.Window = 3 * one })
	for n := range uint64(6) {
		d.send(same("a", n))
		if want := n < 3; want != (len(d.writes) == 1) {
			t.Fatalf("message %d: got written %v, want %v", n, !want, want)
		}
	}
	d.send(same("b", 9))
	d.wrote(9)
	first := d.under[0]
	d.settle(d.under[1], confirmed)
	d.wrote(3)
	d.settle(first, confirmed)
	d.wrote(4)

	d.drain(confirmed)
	d.send(same("a", 10))
	huge := same("a", 11)
	huge.Body = append(huge.Body, make([]byte, 5*one)...)
	d.send(huge)
	d.wrote()
	d.send(same("a", 12)) // it could go, but is not first
	d.wrote()
	d.settle(d.under[0], confirmed)
	d.wrote(11) // alone it may be larger than the window
	d.settle(d.under[0], confirmed)
	d.wrote(12)
	d.drain(confirmed)
	if c := d.o.Counts(); c.Confirmed != c.Copies {
		t.Errorf("got %d of %d confirmed", c.Confirmed, c.Copies)
	}
	d.nothing()
}

// TestRetry: copies that were not written for lack of room, or because the session
// ended, are tried again in order, and end at the limit.
func TestRetry(t *testing.T) {
	for _, o := range []protocol.Outcome{overloaded, sessionEnd} {
		d := newDesk(t, villagers, nil)
		var ids []uint64
		for n := range uint64(3) {
			ids = append(ids, d.send(plain("a", n)))
		}
		for _, w := range slices.Backward(slices.Clone(d.under)) {
			d.settle(w, o)
			d.wrote()
		}
		ids = append(ids, d.send(plain("a", 3))) // not before those
		d.wrote()
		d.send(plain("b", 7)) // the next peer is not kept waiting
		d.wrote(7)
		var got []uint64
		for _, w := range d.pass(time.Second) {
			got = append(got, numberOf(t, w.Frame))
		}
		if want := []uint64{0, 1, 2, 3}; !slices.Equal(got, want) {
			t.Errorf("%v: got %v written again, want %v", o, got, want)
		}
		for _, id := range ids {
			if r := d.report(id); r.Ended() {
				t.Errorf("%v: got %v, want it open", o, &r)
			}
		}
		for range 1000 { // it never gets better
			d.settleAll(o)
			d.pass(100 * time.Millisecond)
		}
		for _, id := range ids {
			r := d.ended(id, 0)
			if got := r.Copies[0].Outcome; got.Kind != protocol.Failed {
				t.Errorf("%v: got %v, want failed", o, got)
			}
			if took := r.End.Sub(d.start); took > time.Minute {
				t.Errorf("%v: got an end after %v, want at most a minute", o, took)
			}
			if n := r.Copies[0].Tries; n < 100 || n > 300 {
				t.Errorf("%v: got %d tries in a minute, want one each 250 ms or so", o, n)
			}
		}
		d.nothing()
	}
	for _, r := range []protocol.Reason{protocol.NoPeer, protocol.Banned, protocol.DialFailed, protocol.Refused, protocol.TooLong} {
		d := newDesk(t, villagers, nil)
		id := d.send(plain("a", 1))
		d.settleAll(protocol.Outcome{Kind: protocol.Failed, Reason: r})
		d.outcome(id, protocol.Outcome{Kind: protocol.Failed, Reason: r})
		d.nothing()
	}
}

// TestDoubt: copies in doubt are written again when the peer is connected again, before
// later copies. The outcome of a further try does not make a copy unwritten.
func TestDoubt(t *testing.T) {
	t.Run("when it is back", func(t *testing.T) {
		d := newDesk(t, villagers, func(o *dht.OutboundOptions) { o.Window = 1 })
		id := d.send(plain("a", 1))
		d.send(plain("a", 2))
		d.settleAll(lost)
		if r := d.report(id); r.Ended() {
			t.Fatalf("got %v, want it open", &r)
		}
		d.wrote() // what became of others is heard first
		if w := d.pass(time.Second); len(w) != 1 || numberOf(t, w[0].Frame) != 2 {
			t.Fatalf("got %d written, want the next message", len(w))
		}
		d.settleAll(unreached)
		if w := d.pass(10 * time.Second); len(w) > 0 {
			t.Fatalf("got %v written before the peer is back", to(w))
		}
		d.connected("b")
		d.wrote()
		d.connected("a")
		d.wrote(1)
		if r := d.report(id); r.Copies[0].Tries != 2 {
			t.Errorf("got %d tries, want 2", r.Copies[0].Tries)
		}
		d.settleAll(confirmed)
		d.outcome(id, confirmed)
		if c := d.o.Counts(); c.Resent != 1 {
			t.Errorf("got %d sent again, want 1", c.Resent)
		}
		d.nothing()
	})
	t.Run("it is back already", func(t *testing.T) {
		d := newDesk(t, villagers, nil)
		d.connected("a") // nothing is known of it: no count
		id := d.send(plain("a", 1))
		d.connected("a")
		d.settleAll(lost)
		d.wrote()
		if w := d.pass(time.Second); to(w) != "a" {
			t.Fatalf("got %q written, want a", to(w))
		}
		d.settleAll(lost) // on that connection too; there is no newer one
		if w := d.pass(10 * time.Second); len(w) > 0 {
			t.Errorf("got %q written, want nothing", to(w))
		}
		d.connected("a")
		d.wrote(1)
		d.settleAll(confirmed)
		d.outcome(id, confirmed)
		d.nothing()
	})
	t.Run("its connection lives", func(t *testing.T) {
		online := true
		d := newDesk(t, villagers, func(o *dht.OutboundOptions) {
			o.Online = func(identity.NodeID) bool { return online }
		})
		id := d.send(plain("a", 1))
		d.connected("a")
		d.settleAll(lost) // it was written to the connection before that
		d.wrote()
		if w := d.pass(time.Second); to(w) != "a" {
			t.Fatalf("got %q written, want a", to(w))
		}
		d.settleAll(lost) // the peer has reset the substream, and nothing new is announced
		d.wrote()
		if w := d.pass(time.Second); to(w) != "a" {
			t.Fatalf("got %q written on the connection that lives, want a", to(w))
		}
		online = false
		d.settleAll(lost)
		if w := d.pass(10 * time.Second); len(w) > 0 {
			t.Errorf("got %q written without a connection, want nothing", to(w))
		}
		d.connected("a")
		d.wrote(1)
		d.settleAll(confirmed)
		d.outcome(id, confirmed)
		d.nothing()
	})
	t.Run("first in the queue", func(t *testing.T) {
		d := newDesk(t, villagers, func(o *dht.OutboundOptions) { o.Window = 1 })
		d.send(plain("a", 1))
		d.send(plain("a", 2))
		d.send(plain("a", 3))
		d.settleAll(lost) // 1
		d.pass(time.Second)
		if len(d.under) != 1 || numberOf(t, d.under[0].Frame) != 2 {
			t.Fatalf("got %d under way, want the second message", len(d.under))
		}
		d.connected("a")
		d.settleAll(confirmed)
		d.wrote(1)
		d.settleAll(confirmed)
		d.wrote(3)
		d.nothing()
	})
	for name, c := range map[string]struct {
		second protocol.Outcome
		open   bool // it waits for another try
	}{
		"gone again":       {unreached, true},
		"lost again":       {lost, true},
		"no room":          {overloaded, true},
		"session ended":    {sessionEnd, true},
		"banned meanwhile": {protocol.Outcome{Kind: protocol.Failed, Reason: protocol.Banned}, false},
		"refuses":          {refused, false},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, villagers, nil)
			id := d.send(plain("a", 1))
			d.settleAll(lost)
			d.pass(time.Second)
			d.connected("a")
			d.wrote(1)
			d.settleAll(c.second)
			if r := d.report(id); r.Ended() == c.open {
				t.Fatalf("got ended %v, want %v", r.Ended(), !c.open)
			}
			if c.open {
				d.pass(time.Second)
				d.connected("a")
				if len(d.under) != 1 {
					t.Fatalf("got %d under way when the peer is back, want 1", len(d.under))
				}
				d.settleAll(c.second)
			}
			d.pass(2 * time.Minute)
			r := d.ended(id, 0)
			if got := r.Copies[0].Outcome; got.Kind != protocol.InDoubt {
				t.Errorf("got %v, want in doubt: it was written once", got)
			}
			d.nothing()
		})
	}
	t.Run("not after the limit", func(t *testing.T) {
		d := newDesk(t, villagers, nil)
		m := plain("a", 1)
		m.Limit = 10 * time.Second
		id := d.send(m)
		d.settleAll(lost)
		d.pass(9*time.Second + time.Millisecond)
		d.outcome(id, lost)
		d.connected("a")
		d.wrote()
		d.nothing()
	})
	t.Run("lost in the last moment", func(t *testing.T) {
		d := newDesk(t, villagers, nil)
		id := d.send(plain("a", 1))
		d.connected("a")
		d.pass(59*time.Second + time.Millisecond)
		d.settleAll(lost)
		d.outcome(id, lost)
		d.nothing()
	})
	t.Run("a peer that takes and goes", func(t *testing.T) {
		d := newDesk(t, villagers, nil)
		id := d.send(plain("a", 1))
		for range 3000 {
			d.connected("a")
			d.settleAll(lost)
			d.pass(20 * time.Millisecond)
		}
		if n := d.ended(id, 0).Copies[0].Tries; n > 4*60+1 {
			t.Errorf("got %d tries, want at most four each second", n)
		}
		d.nothing()
	})
}

// TestLimit: at its limit every send ends. Unwritten copies have failed; copies with a
// session are withdrawn, and are in doubt if the session does not answer.
//
// conforms: V 15
func TestLimit(t *testing.T) {
	for _, limit := range []time.Duration{0, -1, 5 * time.Second, time.Minute, time.Hour, time.Nanosecond} {
		want := limit
		if limit <= 0 || limit > time.Minute {
			want = time.Minute
		}
		d := newDesk(t, villagers, func(o *dht.OutboundOptions) { o.Window = 1 })
		m := plain("a", 1)
		m.Limit = limit
		given := d.send(m)
		waiting := d.send(m)
		m.To = dht.Direct{Peer: idOf("b")}
		answered := d.send(m)
		w := slices.Clone(d.under)

		early := d.start.Add(want - min(time.Second, want/10))
		d.pass(early.Sub(d.now) - time.Nanosecond)
		if limit != time.Nanosecond {
			for _, id := range []uint64{given, waiting, answered} {
				if r := d.report(id); r.Ended() {
					t.Fatalf("limit %v: got %v before the time", limit, &r)
				}
			}
			d.clock(early.Sub(d.start))
			d.wakeUp()
			d.outcome(waiting, tooLate)
			if len(d.withdrawn) != 2 || d.withdrawn[0].ID != w[0].ID || d.withdrawn[0].Peer != idOf("a") || d.withdrawn[1].ID != w[1].ID {
				t.Errorf("limit %v: got %v withdrawn, want both that were given", limit, d.withdrawn)
			}
			d.settle(w[1], tooLate)
			d.outcome(answered, tooLate)
		}
		d.pass(want)
		r := d.ended(given, 0)
		if got := r.Copies[0].Outcome; got != lateDoubt {
			t.Errorf("limit %v: got %v, want %v", limit, got, lateDoubt)
		}
		if took := r.End.Sub(d.start); took != want {
			t.Errorf("limit %v: got the end after %v, want %v", limit, took, want)
		}

		// The peer's window is taken until the session says what became of it.
		next := d.send(plain("a", 2))
		d.wrote()
		d.settle(w[0], confirmed)
		d.wrote(2)
		if r := d.report(given); r.Copies[0].Outcome != lateDoubt {
			t.Errorf("limit %v: got %v after a late outcome, want %v", limit, r.Copies[0].Outcome, lateDoubt)
		}
		d.settleAll(confirmed)
		d.outcome(next, confirmed)
		d.nothing()
	}
}

// TestLateTimer: when the machine is told the time too late, or not at all,
// nothing is given out after its limit.
//
// conforms: V 15
func TestLateTimer(t *testing.T) {
	d := newDesk(t, villagers, func(o *dht.OutboundOptions) { o.Window = 1 })
	d.discovers = true
	first := d.send(plain("a", 1))
	second := d.send(plain("a", 2))
	parked := d.send(dht.Message{To: dht.DirectKey{Key: repeated(t, 9).PublicKey(), Discover: true}, Limit: 59 * time.Second})
	w := d.under[0]
	d.clock(59*time.Second + time.Millisecond)
	d.discovered(parked, "b", nil)
	d.wrote()
	d.ended(parked, dht.DiscoveryFailed)
	d.clock(61 * time.Second)
	d.settle(w, confirmed)
	d.wrote()
	d.outcome(second, tooLate)
	if r := d.ended(first, 0); r.Copies[0].Outcome.Kind == protocol.Failed {
		t.Errorf("got %v of what was written", r.Copies[0].Outcome)
	}

	third := d.send(plain("a", 3))
	d.settleAll(lost)
	d.clock(3 * time.Minute)
	d.connected("a")
	d.wrote()
	d.outcome(third, lost)
	d.nothing()

	d.send(plain("a", 4))
	fourth := d.send(plain("a", 5))
	d.now = d.now.Add(time.Hour)
	d.settle(d.under[0], confirmed)
	d.wrote()
	d.outcome(fourth, tooLate)

	fifth := d.send(plain("a", 6))
	d.now = d.now.Add(59*time.Second + time.Millisecond)
	d.settle(d.under[0], overloaded) // too late to try again
	d.outcome(fifth, overloaded)

	d.ids++
	d.entries[d.ids] = d.ledger.Accept(d.now, d.ids, &dht.Message{To: dht.Flood{}}, nil)
	d.apply(d.o.SendUntil(d.now, d.wall(), d.ids, dht.Message{To: dht.Flood{}}, d.now))
	d.wrote()
	d.ended(d.ids, dht.SendExpired)
	d.nothing()
}

// TestWithdrawnLate: also when the machine is told the time only after the limit,
// what is given out is asked back, once. A short limit leaves a session half of it
// to say what it has written.
//
// conforms: V 15
func TestWithdrawnLate(t *testing.T) {
	for _, limit := range []time.Duration{5 * time.Millisecond, time.Minute} {
		d := newDesk(t, villagers, nil)
		m := plain("a", 1)
		m.Limit = limit
		id := d.send(m)
		d.clock(limit + time.Millisecond)
		d.wakeUp()
		d.outcome(id, lateDoubt)
		if len(d.withdrawn) != 1 || d.withdrawn[0].ID != d.under[0].ID {
			t.Errorf("limit %v: got %v withdrawn, want what was given out", limit, d.withdrawn)
		}
		d.nothing()
	}

	d := newDesk(t, villagers, nil)
	m := plain("a", 1)
	m.Limit = 100 * time.Millisecond
	id := d.send(m)
	d.pass(50 * time.Millisecond)
	if len(d.withdrawn) != 1 {
		t.Errorf("got %d withdrawn at half of a short limit, want 1", len(d.withdrawn))
	}
	d.pass(50 * time.Millisecond)
	if len(d.withdrawn) != 0 {
		t.Errorf("got %d withdrawn at the limit, want none a second time", len(d.withdrawn))
	}
	d.outcome(id, lateDoubt)

	id = d.send(m)
	d.pass(50 * time.Millisecond)
	d.settle(d.under[1], tooLate) // never written, and the report says so
	d.outcome(id, tooLate)
	d.nothing()
}

// TestCancel ends sends in each state: what may have been written is in doubt, all else fails,
// and a later outcome of the session frees the peer's window and no more.
func TestCancel(t *testing.T) {
	d := newDesk(t, villagers, func(o *dht.OutboundOptions) { o.Window = 1 })
	d.discovers = true
	cancel := func(id uint64) { d.apply(d.o.Cancel(d.now, id)) }
	given, waiting, doubtful := d.send(plain("a", 1)), d.send(plain("a", 2)), d.send(plain("b", 3))
	parked := d.send(dht.Message{To: dht.DirectKey{Key: repeated(t, 9).PublicKey(), Discover: true}})
	w := slices.Clone(d.under)
	d.settle(w[1], lost)

	cancel(waiting)
	d.outcome(waiting, tooLate)
	if len(d.withdrawn) != 0 {
		t.Errorf("got %v withdrawn of what was never given out", d.withdrawn)
	}
	cancel(given)
	d.outcome(given, lateDoubt)
	if len(d.withdrawn) != 1 || d.withdrawn[0].ID != w[0].ID || d.withdrawn[0].Peer != idOf("a") {
		t.Errorf("got %v withdrawn, want what was given out", d.withdrawn)
	}
	cancel(doubtful)
	d.outcome(doubtful, lost)
	cancel(parked)
	d.ended(parked, dht.DiscoveryFailed)
	for _, id := range []uint64{given, waiting, doubtful, parked, 1 << 40} {
		cancel(id)
		if len(d.progress)+len(d.withdrawn)+len(d.writes) != 0 {
			t.Errorf("cancelled again: got %v, %v, %v, want nothing", d.progress, d.withdrawn, d.writes)
		}
	}
	next := d.send(plain("a", 4))
	d.wrote()
	d.settle(w[0], confirmed)
	d.wrote(4)
	d.settle(d.under[0], confirmed)
	d.outcome(given, lateDoubt)
	d.outcome(next, confirmed)
	d.nothing()
}

// TestDiscovery: a message for an unknown key waits outside for its peer, holds
// nothing up, and ends at its limit.
//
// conforms: dht 65; V 15
func TestDiscovery(t *testing.T) {
	bob := repeated(t, 9).PublicKey()
	byKey := dht.Message{To: dht.DirectKey{Key: bob, Discover: true}, Body: numbered(5), Encrypt: true}
	begin := func(t *testing.T) *desk {
		d := newDesk(t, villagers, nil)
		d.discovers = true
		return d
	}
	t.Run("found", func(t *testing.T) {
		d := begin(t)
		id := d.send(byKey)
		if len(d.searches) != 1 || d.searches[0] != (dht.Discover{ID: id, Key: bob, Until: d.now.Add(time.Minute)}) {
			t.Fatalf("got searches %v", d.searches)
		}
		if _, copies := d.o.Len(); copies != 0 {
			t.Errorf("got %d copies under way, want 0", copies)
		}
		d.pass(20 * time.Second)
		d.discovered(id+1000, "b", nil) // nobody's
		d.wrote()
		d.discovered(id, "b", nil)
		if to(d.writes) != "b" {
			t.Fatalf("got %q written, want b", to(d.writes))
		}
		e := decode(t, d.writes[0].Frame)
		if e.Header.Expires != uint64(d.now.Add(3*time.Hour).Unix()) || !e.Header.Destination.Is(bob) {
			t.Errorf("got %+v", e.Header)
		}
		d.discovered(id, "c", nil) // once is enough
		d.wrote()
		d.discovered(id, "c", errors.New("too late"))
		d.settleAll(confirmed)
		d.outcome(id, confirmed)
		d.nothing()
	})
	t.Run("not found", func(t *testing.T) {
		d := begin(t)
		id := d.send(byKey)
		cause := errors.New("asked everybody")
		d.discovered(id, "z", cause)
		if r := d.ended(id, dht.DiscoveryFailed); !errors.Is(r.Err, cause) {
			t.Errorf("got %v, want %v", r.Err, cause)
		}
		d.discovered(id, "b", nil)
		d.wrote()
		d.nothing()
	})
	t.Run("found in the last moment", func(t *testing.T) {
		d := begin(t)
		id := d.send(byKey)
		d.pass(59*time.Second + 500*time.Millisecond)
		d.discovered(id, "b", nil)
		if to(d.writes) != "b" {
			t.Fatalf("got %q written, want b: there is time left", to(d.writes))
		}
		d.pass(time.Second)
		d.outcome(id, lateDoubt)
		d.nothing()
	})
	t.Run("not asked for", func(t *testing.T) {
		for _, m := range []dht.Message{
			{To: dht.DirectKey{Key: bob}},
			{To: dht.Direct{Peer: idOf("z")}},
			{To: dht.Propagate{To: bob, Exclude: []identity.NodeID{idOf("a"), idOf("b"), idOf("c"), idOf("d")}}},
		} {
			d := begin(t)
			d.ended(d.send(m), dht.NobodySelected)
			if len(d.searches) > 0 {
				t.Errorf("%T: got a search", m.To)
			}
		}
		d := begin(t)
		d.view.keys[bob] = "a"
		d.send(byKey)
		if len(d.searches) > 0 || to(d.writes) != "a" {
			t.Errorf("known: got %d searches, %q written, want none, a", len(d.searches), to(d.writes))
		}
	})
	t.Run("banned", func(t *testing.T) { // as if it were not known (spec: dht 5.5)
		d := begin(t)
		d.view.keys[bob] = "i"
		d.send(byKey)
		if len(d.searches) != 1 || len(d.writes) != 0 {
			t.Errorf("got %d searches, %d writes, want 1, 0", len(d.searches), len(d.writes))
		}
	})
	t.Run("thousands wait", func(t *testing.T) {
		d := begin(t)
		var ids []uint64
		for n := range 5000 {
			m := byKey
			m.Limit = time.Duration(n%60+1) * time.Second
			ids = append(ids, d.send(m))
		}
		for n := range uint64(100) {
			d.send(plain("a", n))
			d.wrote(n)
			d.settleAll(confirmed)
		}
		if sends, copies := d.o.Len(); sends != 5000 || copies != 0 {
			t.Errorf("got %d sends, %d copies, want 5000, 0", sends, copies)
		}
		for n := range 60 {
			d.pass(time.Second)
			want := 0
			for i := range ids {
				if i%60 > n {
					want++
				}
			}
			if sends, _ := d.o.Len(); sends != want {
				t.Errorf("after %d s: got %d under way, want %d", n+1, sends, want)
			}
		}
		for n, id := range ids {
			r := d.ended(id, dht.DiscoveryFailed)
			if took := r.End.Sub(r.Begin); took != time.Duration(n%60+1)*time.Second {
				t.Fatalf("got an end after %v, want %d s", took, n%60+1)
			}
		}
		d.nothing()
	})
}

// TestClose: nothing is written any more, and everything ends.
func TestClose(t *testing.T) {
	d := newDesk(t, villagers, func(o *dht.OutboundOptions) { o.Window = 1 })
	d.discovers = true
	given, waiting, doubtful := d.send(plain("a", 1)), d.send(plain("a", 2)), d.send(plain("b", 3))
	d.settle(d.under[1], lost)
	d.wrote()
	overl := d.send(plain("c", 4))
	d.settle(d.under[1], overloaded)
	parked := d.send(dht.Message{To: dht.DirectKey{Key: repeated(t, 9).PublicKey(), Discover: true}})
	e := decode(t, d.under[0].Frame)
	d.relay(&e, dht.Selected{Peers: []identity.NodeID{idOf("a"), idOf("d")}})
	w := slices.Clone(d.under)

	d.apply(d.o.Close(d.now))
	d.wrote()
	d.outcome(waiting, sessionEnd)
	d.outcome(overl, sessionEnd)
	d.outcome(doubtful, lost)
	d.ended(parked, dht.SendClosed)
	if r := d.report(given); r.Ended() {
		t.Errorf("got %v, want it to be open until its session says what became of it", &r)
	}
	d.ended(d.send(plain("a", 5)), dht.SendClosed)
	d.relay(&e, dht.Selected{Peers: []identity.NodeID{idOf("a")}})
	d.connected("b")
	d.discovered(parked, "b", nil)
	for i, o := range []protocol.Outcome{sessionEnd, lost} {
		d.settle(w[i], o)
		d.wrote()
	}
	d.outcome(given, sessionEnd)
	if w := d.pass(2 * time.Minute); len(w) > 0 {
		t.Errorf("got %d written after the end", len(w))
	}
	d.nothing()
	if c := d.o.Counts(); c.RelayCopies != c.RelayConfirmed+c.RelayFailed.Total() || c.RelaysDropped != 1 {
		t.Errorf("got %+v", c)
	}
}

// TestFinish: accepted messages are still written, once.
func TestFinish(t *testing.T) {
	d := newDesk(t, villagers, func(o *dht.OutboundOptions) { o.Window = 1 })
	d.discovers = true
	given, waiting, doubtful := d.send(plain("a", 1)), d.send(plain("a", 2)), d.send(plain("b", 3))
	d.settle(d.under[1], lost)
	noRoom := d.send(plain("c", 4))
	d.settle(d.under[1], overloaded)
	parked := d.send(dht.Message{To: dht.DirectKey{Key: repeated(t, 9).PublicKey(), Discover: true}})

	d.apply(d.o.Finish(d.now))
	d.wrote()
	d.outcome(doubtful, lost)
	d.ended(parked, dht.SendClosed)
	d.ended(d.send(plain("a", 5)), dht.SendClosed)
	d.connected("b")
	d.wrote()
	d.settle(d.under[0], confirmed)
	d.outcome(given, confirmed)
	d.wrote(2)
	d.connected("a")
	d.settle(d.under[0], lost)
	d.outcome(waiting, lost)
	if w := d.pass(time.Second); len(w) != 1 || w[0].Peer != idOf("c") {
		t.Errorf("got %q written, want what had no room", to(w))
	}
	d.settle(d.under[0], overloaded)
	d.outcome(noRoom, overloaded)
	if sends, copies := d.o.Len(); sends+copies != 0 {
		t.Errorf("got %d sends, %d copies under way, want none", sends, copies)
	}
	d.nothing()
}

// TestManyCopies: the number of copies without an outcome is bounded, and what
// goes beyond it fails whole.
func TestManyCopies(t *testing.T) {
	d := newDesk(t, villagers, nil)
	many := make([]identity.NodeID, 1<<14)
	for i := range many {
		many[i] = identity.NodeID{byte(i >> 8), byte(i), 1}
	}
	for range 3 {
		d.send(dht.Message{To: dht.Selected{Peers: many}})
	}
	d.send(dht.Message{To: dht.Selected{Peers: many[1:]}})
	r := d.ended(d.send(dht.Message{To: dht.Selected{Peers: many[:2]}}), dht.SendOverloaded)
	if len(r.Copies) != 0 || len(d.writes) != 0 || r.Err == nil {
		t.Errorf("got %d copies, %d writes, %v", len(r.Copies), len(d.writes), r.Err)
	}
	d.send(plain("a", 1))
	d.wrote(1)
	d.ended(d.send(plain("a", 2)), dht.SendOverloaded)
	e := decode(t, d.under[0].Frame)
	d.relay(&e, dht.Flood{})
	if c := d.o.Counts(); c.RelaysDropped != 1 || c.RelayCopies != c.RelayFailed[dht.RelayCrowded] {
		t.Errorf("got %d relays dropped, %d copies, %d of them crowded out, want 1 and all", c.RelaysDropped, c.RelayCopies, c.RelayFailed[dht.RelayCrowded])
	}
	d.settle(d.under[len(d.under)-1], confirmed)
	d.send(plain("a", 3))
	d.wrote(3)
	for _, w := range d.under {
		d.apply(d.o.Sent(d.now, w.ID, confirmed))
	}
	d.under = nil
	d.nothing()
}

// TestEndedLeaveNothing: sends that end while others wait leave neither wakes nor
// copies behind.
func TestEndedLeaveNothing(t *testing.T) {
	d := newDesk(t, villagers, func(o *dht.OutboundOptions) { o.Window = 1 })
	d.send(plain("a", 0)) // stays; all others wait behind it
	d.send(plain("a", 1))
	d.send(plain("b", 0))
	d.settle(d.under[1], lost) // b: in doubt
	for n := range uint64(2000) {
		m := plain("a", n)
		m.Limit = 10 * time.Millisecond
		d.send(m)
		m.To = dht.Direct{Peer: idOf("b")}
		d.send(m)
		if len(d.writes) == 1 {
			d.settle(d.under[1], lost)
		}
		d.pass(10 * time.Millisecond)
		wakes, listed := d.o.Sizes()
		if wakes > 10 || listed > 10 {
			t.Fatalf("after %d sends: got %d wakes, %d copies listed, want a handful", n, wakes, listed)
		}
	}
	d.nothing()
}

// TestWakes: the machine says when it wants to be woken, and never later than
// something is due.
func TestWakes(t *testing.T) {
	d := newDesk(t, villagers, nil)
	d.send(plain("a", 1))
	if want := d.start.Add(59 * time.Second); !d.wake.Equal(want) {
		t.Errorf("got a wake at %v, want %v", d.wake, want)
	}
	m := plain("a", 1)
	m.Limit = 10 * time.Second
	d.send(m)
	if want := d.start.Add(9 * time.Second); !d.wake.Equal(want) {
		t.Errorf("got a wake at %v, want %v", d.wake, want)
	}
	before := d.wake
	d.send(plain("b", 1))
	if d.wake != before {
		t.Errorf("got another wake at %v, want that at %v to stand", d.wake, before)
	}
	d.settleAll(confirmed)
	d.pass(9 * time.Second) // for nothing
	if d.wake.IsZero() || d.wake.After(d.start.Add(time.Minute)) {
		t.Errorf("got a wake at %v, want one within a minute to forget the peers", d.wake)
	}
	d.pass(time.Minute)
	if d.o.Peers() != 0 || !d.wake.IsZero() {
		t.Errorf("got %d peers, a wake at %v, want none", d.o.Peers(), d.wake)
	}

	// One that is set can be set to an earlier time.
	d = newDesk(t, villagers, nil)
	d.discovers = true
	parked := d.send(dht.Message{To: dht.DirectKey{Key: repeated(t, 9).PublicKey(), Discover: true}})
	d.clock(500 * time.Millisecond)
	d.send(plain("a", 1))
	d.discovered(parked, "b", nil)
	if want := d.start.Add(59 * time.Second); !d.wake.Equal(want) {
		t.Errorf("got a wake at %v, want %v", d.wake, want)
	}
}

func ExampleReport() {
	r := dht.Report{Copies: []dht.Copy{
		{Outcome: protocol.Outcome{Kind: protocol.Confirmed}},
		{Outcome: protocol.Outcome{Kind: protocol.Confirmed}},
		{Outcome: protocol.Outcome{Kind: protocol.InDoubt, Reason: protocol.ConnectionLost}},
	}}
	fmt.Println(&r)
	// Output: 2 of 3 confirmed, 1 in doubt
}
