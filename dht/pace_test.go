package dht_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// meter counts what a peer may have got in a stretch of time: a message may be
// written at any time between its Write and its outcome.
type meter struct {
	t      testing.TB
	within time.Duration
	most   int
	open   map[uint64]struct{}
	past   []time.Time // when the outcomes of the written ones came
	off    bool        // the last one was not paced
}

func newMeter(t testing.TB, most int) *meter {
	return &meter{t: t, within: dht.PaceWithin, most: most, open: map[uint64]struct{}{}}
}

func (m *meter) gave(now time.Time, id uint64) {
	m.t.Helper()
	m.off = false
	m.open[id] = struct{}{}
	n := len(m.open)
	for _, at := range m.past {
		if at.After(now.Add(-m.within)) {
			n++
		}
	}
	if n > m.most {
		m.t.Fatalf("got %d messages that may be on the wire within %v, want at most %d", n, m.within, m.most)
	}
}

// freely is gave for a peer that is not paced. What it got so does not count
// when it is, but for what is still under way.
func (m *meter) freely(id uint64) {
	m.open[id], m.past, m.off = struct{}{}, nil, true
}

func (m *meter) got(now time.Time, id uint64, o protocol.Outcome) {
	delete(m.open, id)
	if o.Kind != protocol.Failed && !m.off {
		m.past = append(m.past, now)
	}
}

// TestPace keeps a paced peer's messages to 900 in any minute and lets them go on
// in order, while another peer gets all of its own at once.
//
// conforms: V 28; dht 129
func TestPace(t *testing.T) {
	d := newDesk(t, villagers, nil)
	d.paced[idOf("a")] = true
	m := newMeter(t, 900)
	var got []uint64
	take := func(writes []dht.Write) {
		for _, w := range writes {
			if w.Peer != idOf("a") {
				continue
			}
			m.gave(d.now, w.ID)
			got = append(got, numberOf(t, w.Frame))
		}
	}
	for n := range uint64(2000) {
		msg := plain("a", n)
		d.send(msg)
		take(d.writes)
		d.send(plain("b", n))
		d.wrote(n)
		d.settle(d.under[len(d.under)-1], confirmed)
	}
	if len(got) != 900 || !slices.IsSorted(got) {
		t.Fatalf("got %d messages at once, want the first 900", len(got))
	}
	if c := d.o.Counts(); c.Paced == 0 || c.Paced > 1100 {
		t.Errorf("got %d paced, want some", c.Paced)
	}
	// All are answered now, one of them never left.
	d.now = d.now.Add(10 * time.Second)
	for i, w := range slices.Clone(d.under) {
		o := confirmed
		if i == 0 {
			o = refused
		}
		m.got(d.now, w.ID, o)
		d.settle(w, o)
		take(d.writes)
	}
	if len(got) != 901 || got[900] != 900 {
		t.Fatalf("got %d given out, want one in the place of that which never left", len(got))
	}
	d.pass(49 * time.Second) // what waits has failed when its limit comes
	failed := 0
	for _, e := range d.entries {
		if r := e.Report(); r.Failed() && r.Copies[0].Outcome.Reason == protocol.Expired {
			failed++
		}
	}
	if failed != 1099 {
		t.Errorf("got %d expired, want all 1,099 that waited", failed)
	}
	for n := range uint64(500) {
		d.send(plain("a", 3000+n))
	}
	before := len(got)
	d.now = d.start.Add(70 * time.Second)
	d.wakeUp()
	take(d.writes)
	if n := len(got) - before; n != 500 {
		t.Errorf("got %d given out a minute after the first were answered, want all 500", n)
	}
	if !slices.IsSorted(got) {
		t.Error("got them in another order than they were sent in")
	}
	d.nothing()
}

// TestPaceOfOurs: a peer that turns out to be one of ours gets all that waits;
// one that is no longer is paced from then on, with what is under way counted.
//
// conforms: V 28
func TestPaceOfOurs(t *testing.T) {
	d := newDesk(t, villagers, func(o *dht.OutboundOptions) { o.Pace = 3 })
	d.paced[idOf("a")] = true
	for n := range uint64(10) {
		d.send(plain("a", n))
	}
	if len(d.under) != 3 {
		t.Fatalf("got %d given out, want 3", len(d.under))
	}
	d.paced[idOf("a")] = false
	d.connected("a")
	d.wrote(3, 4, 5, 6, 7, 8, 9)

	d.paced[idOf("a")] = true
	d.send(plain("a", 10))
	d.wrote()
	for _, w := range slices.Clone(d.under)[:7] {
		d.settle(w, refused)
		d.wrote()
	}
	d.settle(d.under[0], refused) // two are left
	d.wrote(10)
	d.nothing()

	// More under way than may be, all of them written.
	d.paced[idOf("a")] = false
	for n := range uint64(10) {
		d.send(plain("a", n))
	}
	d.paced[idOf("a")] = true
	d.send(plain("a", 10))
	for len(d.under) > 0 {
		d.settle(d.under[0], confirmed)
		d.wrote()
		d.now = d.now.Add(time.Second)
	}
	m := plain("a", 11)
	d.send(m)
	d.wrote()
	var at []time.Duration
	for range 100 {
		if w := d.pass(time.Second); len(w) > 0 {
			at = append(at, d.now.Sub(d.start))
		}
	}
	if len(at) != 1 { // 10 has expired by then
		t.Errorf("got messages at %v", at)
	}
	d.nothing()
}

// TestPaceGoesOn: messages that were sent one by one leave the minute one by one, each
// making room for another.
//
// conforms: V 28
func TestPaceGoesOn(t *testing.T) {
	d := newDesk(t, villagers, func(o *dht.OutboundOptions) { o.Pace = 20 })
	d.paced[idOf("a")] = true
	at := func(seconds, send, want int) {
		t.Helper()
		given := 0
		for _, w := range d.pass(d.start.Add(time.Duration(seconds) * time.Second).Sub(d.now)) {
			given++
			d.settle(w, confirmed)
		}
		for range send {
			d.send(plain("a", 1))
			for _, w := range slices.Clone(d.writes) {
				given++
				d.settle(w, confirmed)
			}
		}
		if given != want {
			t.Errorf("after %d s: got %d given out, want %d", seconds, given, want)
		}
	}
	for i := range 8 {
		at(5*i, 1, 1) // 0, 5, … 35
	}
	at(62, 30, 13) // the seven since 5
	at(64, 0, 0)
	at(65, 0, 1)
	at(69, 0, 0)
	for i := 70; i <= 95; i += 5 {
		at(i, 0, 1)
	}
	at(119, 0, 0)
	d.nothing()
}

// TestPaceAtRandom: whatever is sent, answered and turns up when, what may be on
// the wire stays within the pace.
//
// conforms: V 28
func TestPaceAtRandom(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 28))
		most := []int{1, 2, 7, 20}[seed%4]
		d := newDesk(t, villagers, func(o *dht.OutboundOptions) { o.Pace, o.Window = most, 1<<r.IntN(20) })
		meters := map[identity.NodeID]*meter{}
		for _, name := range []string{"a", "b"} {
			d.paced[idOf(name)] = true
			meters[idOf(name)] = newMeter(t, most)
		}
		given := 0
		take := func(writes []dht.Write) {
			for _, w := range writes {
				given++
				meters[w.Peer].gave(d.now, w.ID)
			}
		}
		for range 1500 {
			name := string("ab"[r.IntN(2)])
			switch r.IntN(8) {
			case 0, 1, 2:
				d.send(plain(name, 1))
				take(d.writes)
			case 3, 4:
				if len(d.under) > 0 {
					w := d.under[r.IntN(len(d.under))]
					o := []protocol.Outcome{confirmed, confirmed, lost, overloaded, refused, unreached}[r.IntN(6)]
					meters[w.Peer].got(d.now, w.ID, o)
					d.settle(w, o)
					take(d.writes)
				}
			case 5:
				d.connected(name)
				take(d.writes)
			default:
				for end := d.now.Add(time.Duration(r.IntN(3000)) * time.Millisecond); ; {
					if d.wake.IsZero() || d.wake.After(end) {
						d.now = end
						break
					}
					if d.now.Before(d.wake) {
						d.now = d.wake
					}
					d.wakeUp()
					take(d.writes)
				}
			}
		}
		if given < 10*most {
			t.Errorf("seed %d: got %d given out with a pace of %d, want more to see it work", seed, given, most)
		}
		d.nothing()
	}
}
