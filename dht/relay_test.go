package dht_test

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// TestRelayRecorded passes recorded messages on: to everybody but whom they came
// from, byte for byte what the reference relayed, whatever the order in which
// the header's fields came. Nothing of it is recorded.
//
// conforms: dht 16, 67, 71, 74, 147
func TestRelayRecorded(t *testing.T) {
	for _, v := range recordings(t, "forwarded") {
		want := v.bytes(t, "forwarded_envelope")
		whole := decode(t, want)
		var backwards []byte // the fields from the last to the first, with one that nobody knows
		for _, field := range slices.Backward(fields(t, whole.Header.Append(nil))) {
			backwards = append(backwards, field...)
		}
		backwards = protowire.AppendTag(backwards, 20, protowire.BytesType)
		backwards = protowire.AppendBytes(backwards, []byte("what is this"))
		strange := protowire.AppendTag(nil, 2, protowire.BytesType)
		strange = protowire.AppendBytes(strange, whole.Body)
		strange = protowire.AppendTag(strange, 1, protowire.BytesType)
		strange = protowire.AppendBytes(strange, backwards)

		for _, frame := range [][]byte{want, strange} {
			d := newDesk(t, villagers, nil)
			d.now = v.now()
			e := decode(t, frame)
			d.relay(&e, dht.Propagate{To: e.Header.Destination.Key, Exclude: []identity.NodeID{idOf("b")}})
			if got := to(d.writes); got != "acd" {
				t.Fatalf("%s: got it relayed to %q, want acd", v.name, got)
			}
			for _, w := range d.writes {
				equal(t, v.name+": relayed", w.Frame, want)
			}
			next := decode(t, d.writes[0].Frame)
			if err := next.CheckSemantics(); err != nil {
				t.Error(err)
			}
			if _, err := next.VerifyOrigin(); err != nil {
				t.Errorf("%s: the next node: %v", v.name, err)
			}
			if d.dedup.Len() != 0 || len(d.progress) != 0 || d.drawn.n != 0 {
				t.Errorf("%s: got %d hashes, %d steps, %d random bytes drawn, want none", v.name, d.dedup.Len(), len(d.progress), d.drawn.n)
			}
			kept := slices.Clone(want)
			clear(frame) // what it came in is used again for something else
			equal(t, v.name+": under way", d.under[0].Frame, kept)
			want = kept
			d.nothing()
		}
	}
}

func relayed(n int) *wire.Envelope {
	return &wire.Envelope{Header: wire.Header{Version: 2, Tag: 7}, Body: wire.AppendBody(nil, nil, make([]byte, n))}
}

// TestRelayOutcomes: relayed messages are counted and have no report. Unwritten copies
// are tried again, copies in doubt are not.
func TestRelayOutcomes(t *testing.T) {
	d := newDesk(t, villagers, nil)
	d.relay(relayed(1), dht.Flood{})
	w := slices.Clone(d.writes)
	d.settle(w[0], confirmed)
	d.settle(w[1], lost)
	d.settle(w[2], refused)
	d.settle(w[3], overloaded)
	d.connected("b")
	d.wrote()
	if again := d.pass(time.Second); len(again) != 1 || again[0].Peer != w[3].Peer {
		t.Errorf("got %q written again, want what had no room", to(again))
	}
	if n := d.held(); n != 1 {
		t.Errorf("got the credit of %d messages held while a copy is under way, want 1", n)
	}
	d.pass(10 * time.Second)
	if len(d.withdrawn) != 1 {
		t.Errorf("got %d withdrawn, want 1", len(d.withdrawn))
	}
	if n := d.held(); n != 0 {
		t.Errorf("got the credit of %d messages held when every copy has ended, want 0", n)
	}
	c := d.o.Counts()
	if c.Relays != 1 || c.RelayCopies != 4 || c.RelayConfirmed != 1 || c.RelayFailed != (dht.RelayFailures{dht.RelayLost: 2, dht.RelayStalled: 1}) || c.Sends+c.Copies+c.Failed+c.InDoubt+c.Confirmed+c.Resent != 0 {
		t.Errorf("got %+v", c)
	}
	d.nothing()

	d.relay(relayed(1), dht.Direct{Peer: idOf("z")})
	d.relay(relayed(1), dht.DirectKey{Key: d.secret.PublicKey()})
	if c := d.o.Counts(); c.RelaysNobody != 2 {
		t.Errorf("got %d relayed to nobody, want 2", c.RelaysNobody)
	}
	if accepted, _ := d.ledger.Counts(); accepted != 0 {
		t.Errorf("got %d sends in the ledger, want none", accepted)
	}
	d.nothing()
}

// TestRelayReached: who stores messages hears of those that their destination has confirmed,
// and not of those that others have confirmed, that are in doubt, or that are of the DHT
// itself.
func TestRelayReached(t *testing.T) {
	d := newDesk(t, villagers, nil)
	to := repeated(t, 9).PublicKey()
	c := d.view.peers["e"]
	c.ID = to.NodeID()
	d.view.peers["e"] = c
	letter := func(i int, typ wire.MessageType) *wire.Envelope {
		e := relayed(i)
		e.Header.Destination, e.Header.Type = wire.To(to), typ
		return e
	}
	for i, o := range []protocol.Outcome{lost, confirmed} {
		d.relay(letter(i, wire.TypeDomain), dht.Selected{Peers: []identity.NodeID{c.ID, idOf("a")}})
		for _, w := range slices.Clone(d.writes) {
			if w.Peer == c.ID {
				d.settle(w, o)
			} else {
				d.settle(w, confirmed)
			}
		}
	}
	d.relay(letter(2, wire.TypeJoin), dht.Selected{Peers: []identity.NodeID{c.ID}})
	d.settleAll(confirmed)
	want := dht.Reached{Hash: letter(1, wire.TypeDomain).DedupHash(), Destination: c.ID}
	if len(d.reached) != 1 || d.reached[0] != want {
		t.Errorf("got %v, want the confirmed letter", d.reached)
	}
}

// one is a strategy for a single villager.
func one(name string) dht.Strategy { return dht.Selected{Peers: []identity.NodeID{idOf(name)}} }

// TestRelayWaits: nothing is dropped while the peer makes progress, however much
// waits for it, also in the header. Our own messages are not held up.
//
// conforms: V 13
func TestRelayWaits(t *testing.T) {
	for name, fresh := range map[string]func(size int) *wire.Envelope{
		"body": relayed,
		"signature": func(size int) *wire.Envelope {
			e := relayed(1)
			e.Header.Signature = make([]byte, size)
			return e
		},
	} {
		t.Run(name, func(t *testing.T) {
			const size, n = 200_000, 50
			d := newDesk(t, villagers, nil)
			for range n {
				d.relay(fresh(size), dht.Flood{})
			}
			d.send(plain("a", 1))
			d.wrote(1)
			for range 4*n + 1 { // one each second: a minute's time is not theirs
				d.settle(d.under[0], confirmed)
				d.pass(time.Second / 5)
			}
			c := d.o.Counts()
			if c.RelayConfirmed != 4*n || c.RelayFailed.Total() != 0 {
				t.Errorf("got %d copies confirmed, %v failed, want all %d", c.RelayConfirmed, c.RelayFailed, 4*n)
			}
			d.nothing()
		})
	}
}

// TestRelayCrowded: of all that waits for others one peer has no more than its
// part, and one frame of any size. What is left out goes with a later copy.
func TestRelayCrowded(t *testing.T) {
	d := newDesk(t, villagers, func(o *dht.OutboundOptions) { o.RelayedTo = 1 << 20 })
	d.relay(relayed(4<<20), one("a"))
	second := relayed(1)
	d.relay(second, dht.Selected{Peers: []identity.NodeID{idOf("a"), idOf("b")}})
	if c := d.o.Counts(); c.RelayCopies != 3 || c.RelayFailed != (dht.RelayFailures{dht.RelayCrowded: 1}) || len(d.under) != 2 {
		t.Errorf("got %d copies, %v failed, %d under way, want 3, one crowded out, 2", c.RelayCopies, c.RelayFailed, len(d.under))
	}
	d.relay(relayed(2), one("a"))
	if n := d.held(); n != 2 {
		t.Errorf("got the credit of %d messages held, want 2", n)
	}
	d.drain(confirmed)
	d.again(second)
	if got := to(d.writes); got != "a" {
		t.Errorf("got a later copy relayed to %q, want a alone", got)
	}
	d.nothing()
}

// again passes a later copy on.
func (d *desk) again(e *wire.Envelope) {
	d.t.Helper()
	r := d.relayed("z", e, dht.Flood{})
	r.Again = true
	d.apply(d.o.Relay(d.now, r))
}

// TestRelayStalls: copies for a peer that makes no progress fail after 10 s, those
// that wait and those that are with its session; until it moves again further
// ones fail after a second. Others are not affected, and our own waits on.
//
// conforms: V 13
func TestRelayStalls(t *testing.T) {
	var moved time.Time
	d := newDesk(t, villagers, func(o *dht.OutboundOptions) {
		o.Window = 64 << 10
		o.Moved = func(identity.NodeID) time.Time { return moved }
	})
	fresh := func(n int) *wire.Envelope { return relayed(6000 + n) }
	own := d.send(plain("a", 1))
	for i := range 20 {
		d.relay(fresh(i), dht.Selected{Peers: []identity.NodeID{idOf("a"), idOf("b")}})
		for _, w := range slices.Clone(d.under) {
			if w.Peer == idOf("b") {
				d.settle(w, confirmed)
			}
		}
	}
	d.pass(6 * time.Second)
	moved = d.now // a part of a frame has gone
	d.pass(9 * time.Second)
	if n := d.held(); n != 20 {
		t.Errorf("got the credit of %d messages held after 9 s without progress, want all 20", n)
	}
	d.pass(time.Second)
	if n := d.held(); n != 0 || len(d.withdrawn) != 5 {
		t.Errorf("got the credit of %d messages held after 10 s without progress, %d withdrawn, want 0 and 5", n, len(d.withdrawn))
	}
	if c := d.o.Counts(); c.RelayConfirmed != 20 || c.RelayFailed != (dht.RelayFailures{dht.RelayStalled: 20}) {
		t.Errorf("got %d copies confirmed, %v failed, want 20 each", c.RelayConfirmed, c.RelayFailed)
	}
	if n := d.unreached.Len(); n != 20 {
		t.Errorf("got %d messages remembered, want 20", n)
	}
	if r := d.report(own); r.Ended() {
		t.Errorf("got our own message ended: %v", r.String())
	}

	// What comes next waits for a second.
	d.relay(fresh(30), one("a"))
	d.relay(fresh(31), one("a"))
	d.pass(900 * time.Millisecond)
	if n := d.held(); n != 2 {
		t.Errorf("got the credit of %d messages held for a peer that has stalled, want 2", n)
	}
	d.pass(100 * time.Millisecond)
	if n := d.held(); n != 0 {
		t.Errorf("got the credit of %d messages held after a second, want none", n)
	}
	for _, w := range slices.Clone(d.under) {
		d.settle(w, confirmed) // late: it has taken what was written
	}
	d.outcome(own, confirmed)
	if n := d.unreached.Len(); n != 22-5 {
		t.Errorf("got %d messages remembered, want the 17 that were not written", n)
	}
	d.relay(fresh(40), one("a"))
	d.relay(fresh(41), one("a"))
	if n := len(d.under); n != 2 {
		t.Errorf("got %d under way once the peer moves again, want 2", n)
	}
	d.drain(confirmed)

	// A later copy goes to the one alone that it has not reached, and the next to nobody.
	d.again(fresh(19))
	if got := to(d.writes); got != "a" {
		t.Errorf("got a later copy relayed to %q, want a", got)
	}
	d.again(fresh(19))
	d.wrote()
	d.nothing()
}

// TestRelayRefusedIsNoProgress: a copy that our own session refuses for want of
// credit says nothing of its target, for which others wait no longer for that.
func TestRelayRefusedIsNoProgress(t *testing.T) {
	d := newDesk(t, villagers, nil)
	to := dht.Selected{Peers: []identity.NodeID{idOf("a")}}
	d.relay(relayed(1), to)
	d.pass(6 * time.Second)
	d.relay(relayed(2), to)
	d.settle(d.under[1], overloaded)
	d.pass(3 * time.Second)
	if len(d.withdrawn) != 0 {
		t.Fatalf("got %d withdrawn after 9 s, want none", len(d.withdrawn))
	}
	d.pass(2 * time.Second)
	if n := d.held(); n != 0 {
		t.Errorf("got the credit of %d messages held after 10 s without progress, want 0", n)
	}
	if c := d.o.Counts(); c.RelayFailed != (dht.RelayFailures{dht.RelayStalled: 2}) {
		t.Errorf("got %+v, want two that stalled", c)
	}
}

// TestRelayNewConnection: a peer that has stalled has all its time again when it
// has a new connection.
func TestRelayNewConnection(t *testing.T) {
	d := newDesk(t, villagers, nil)
	d.relay(relayed(1), one("a"))
	d.pass(10 * time.Second)
	d.settle(d.under[0], tooLate) // withdrawn
	for i := range 3 {
		d.relay(relayed(10+i), one("a"))
	}
	d.pass(time.Second)
	if n := d.held(); n != 0 {
		t.Errorf("got the credit of %d messages held, want none", n)
	}
	d.connected("a")
	for i := range 3 {
		d.relay(relayed(20+i), one("a"))
	}
	d.pass(9 * time.Second)
	if n := d.held(); n != 3 {
		t.Errorf("got the credit of %d messages held on a new connection, want 3", n)
	}
	d.nothing()
}

// TestRelayAgain: a later copy goes to those of the targets that are connected,
// not back to where it comes from, and to newly selected ones when nobody was
// asked before.
func TestRelayAgain(t *testing.T) {
	d := newDesk(t, villagers, nil)
	e := relayed(1)
	for _, name := range []string{"a", "b", "z", "j"} { // j is not connected
		d.unreached.Missed(e.DedupHash(), idOf(name))
	}
	d.again(e)
	if got := to(d.writes); got != "ab" {
		t.Errorf("got it relayed to %q, want ab", got)
	}
	if peers, reselect, ok := d.unreached.Take(e.DedupHash()); !ok || reselect || !slices.Equal(peers, []identity.NodeID{idOf("j")}) {
		t.Errorf("got %v, %v, %v remembered, want the one that is not connected", peers, reselect, ok)
	}
	d.drain(confirmed)
	d.unreached.Reselect(e.DedupHash())
	d.again(e)
	if got := to(d.writes); got != "abcd" {
		t.Errorf("got it relayed to %q, want all", got)
	}
	d.nothing()
}

// TestUnreachedIsBounded: the oldest is forgotten.
func TestUnreachedIsBounded(t *testing.T) {
	u := dht.NewUnreached()
	hash := func(i int) (h wire.Hash) { h[0], h[1] = byte(i), byte(i>>8); return h }
	for i := range dht.MaxUnreached + 10 {
		u.Missed(hash(i), idOf("a"))
	}
	for i := range 1000 {
		u.Missed(hash(5000-900), identity.NodeID{byte(i), byte(i >> 8)})
	}
	if u.Len() != dht.MaxUnreached || u.Has(hash(9)) || !u.Has(hash(10)) {
		t.Errorf("got %d remembered, the oldest among them: %v", u.Len(), u.Has(hash(9)))
	}
	if peers, _, _ := u.Take(hash(5000 - 900)); len(peers) != 64 {
		t.Errorf("got %d peers of one message remembered, want 64", len(peers))
	}
	var none *dht.Unreached
	none.Missed(hash(1), idOf("a"))
	if _, _, ok := none.Take(hash(1)); ok || none.Has(hash(1)) {
		t.Error("got something remembered by nobody")
	}
}

// TestRelayPanics forces a panic while a message is relayed: in the machine, and
// while each of the effects is carried out. No peer's window is lost with it, no
// credit, and no step of a message of our own.
func TestRelayPanics(t *testing.T) {
	fail := ""
	d := newDesk(t, villagers, func(o *dht.OutboundOptions) {
		o.Window = 40 << 10
		o.Paced = func(id identity.NodeID) bool {
			if fail == "paced" && id == idOf("b") {
				fail = ""
				panic("forced")
			}
			return false
		}
	})
	panics := func(f func()) (did bool) {
		defer func() { did = recover() != nil }()
		f()
		return false
	}
	e := relayed(6000)
	for range 20 {
		fail = "paced"
		own := d.send(dht.Message{To: dht.Direct{Peer: idOf("c")}, Body: numbered(1), Limit: time.Second})
		d.settle(d.under[len(d.under)-1], overloaded)
		d.now = d.now.Add(2 * time.Second) // its end is due in the same event
		if !panics(func() { d.o.Relay(d.now, d.relayed("z", e, dht.Flood{})) }) {
			t.Fatal("got no panic")
		}
		d.apply(d.o.Mend(d.now, dht.Carried{}))
		d.ended(own, 0)
		d.wrote()
		if n := d.held(); n != 0 {
			t.Fatalf("got the credit of %d messages held after a panic, want none", n)
		}
	}
	for written := range 4 { // the effect after these panics
		for range 5 {
			fx := d.o.Relay(d.now, d.relayed("z", e, dht.Flood{}))
			if len(fx.Write) != 4 {
				t.Fatalf("got %d written, want 4: some window is lost", len(fx.Write))
			}
			done := slices.Clone(fx.Write[:written])
			d.under = append(d.under, done...)
			d.apply(d.o.Mend(d.now, dht.Carried{Begun: true, Write: written}))
			d.wrote()
			for _, w := range done {
				d.settle(w, confirmed)
			}
			if n := d.held(); n != 0 {
				t.Fatalf("got the credit of %d messages held after a panic, want none", n)
			}
			d.pass(time.Second)
		}
	}
	d.send(dht.Message{To: dht.Direct{Peer: idOf("b")}, Body: make([]byte, 30<<10)})
	d.wrote(0)
	d.nothing()
}

// TestRelayRate: no peer gets more messages of others in a minute than half of
// what it takes for a flood, whoever wrote them, nor from the machine that comes
// after a restart.
//
// conforms: V 28
func TestRelayRate(t *testing.T) {
	for _, limit := range []int{0, 50} {
		want := dht.FloodLimit / 2
		set := func(o *dht.OutboundOptions) { o.RelayLimit = limit }
		if limit > 0 {
			want = limit
		}
		d := newDesk(t, villagers, set)
		got := 0
		pass := func(n int, name string) {
			for range n {
				d.relay(relayed(1), one(name))
				got += len(d.writes)
				d.drain(confirmed)
			}
		}
		pass(want-1, "a")
		d.pass(30 * time.Second)
		pass(10, "a")
		if got != want {
			t.Errorf("got %d relayed in a minute, want %d", got, want)
		}
		if c := d.o.Counts(); c.RelaysDropped != 9 || c.RelayFailed != (dht.RelayFailures{dht.RelayRate: 9}) {
			t.Errorf("got %d dropped, %v failed, want the 9 beyond", c.RelaysDropped, c.RelayFailed)
		}
		pass(1, "b")
		d.send(plain("a", 1))
		if d.wrote(1); got != want+1 {
			t.Errorf("got %d relayed, want one for another peer, too", got)
		}
		d.drain(confirmed)

		paces := d.o.Paces(d.now)
		d.begin(func(o *dht.OutboundOptions) { set(o); o.Paces = paces })
		pass(1, "a")
		if got != want+1 {
			t.Error("got one more relayed after a restart")
		}
		d.pass(31 * time.Second)
		pass(want+10, "a")
		if got != want+1+want-1 {
			t.Errorf("got %d relayed in the next minute, want %d", got-want-1, want-1)
		}
		d.pass(2 * time.Minute)
		d.nothing()
	}
}

// TestRelaysYield: of what waits for a peer our own goes first, and what is
// relayed leaves it room in the window.
func TestRelaysYield(t *testing.T) {
	d := newDesk(t, villagers, func(o *dht.OutboundOptions) { o.Window = 64 << 10 })
	a := dht.Selected{Peers: []identity.NodeID{idOf("a")}}
	for range 20 {
		d.relay(relayed(6016), a)
	}
	if n := len(d.under); n != 5 {
		t.Errorf("got %d given out that are relayed, want 5: half of the window", n)
	}
	big := plain("a", 1)
	big.Body = append(big.Body, make([]byte, 20<<10)...)
	d.send(big)
	d.wrote(1)
	big.Body[7] = 2
	d.send(big)
	d.wrote()
	for _, w := range d.under[:4] {
		d.settle(w, confirmed)
		if len(d.writes) > 0 {
			break
		}
	}
	d.wrote(2) // before the 15 that waited longer
	own := d.under
	d.under = nil
	for _, w := range own {
		d.under = append(d.under, w)
		d.settle(w, confirmed)
	}
	if n := len(d.under); n != 5 {
		t.Errorf("got %d relayed when none of our own waits, want 5", n)
	}
	d.nothing()
}

// TestRelayPace: where we send something ourselves, what is relayed leaves up to
// a third of the pace to it: our own goes at once, however much there is for
// others.
//
// conforms: V 28
func TestRelayPace(t *testing.T) {
	for _, rate := range []int{14, 40} {
		d := newDesk(t, villagers, nil)
		d.paced[idOf("a")] = true
		meter, others := newMeter(t, dht.DefaultPace), newMeter(t, dht.DefaultPace*3/4)
		passed := 0
		settle := func() {
			for _, w := range slices.Clone(d.under) {
				meter.gave(d.now, w.ID)
				meter.got(d.now, w.ID, confirmed)
				if decode(t, w.Frame).Header.Tag == 7 {
					others.gave(d.now, w.ID)
					others.got(d.now, w.ID, confirmed)
					passed++
				}
				d.settle(w, confirmed)
			}
		}
		const minutes = 5
		for s := range 60 * minutes {
			for range rate {
				d.relay(relayed(100), dht.Selected{Peers: []identity.NodeID{idOf("a")}})
				settle()
			}
			m := same("a", uint64(s))
			for range 4 {
				id := d.send(m)
				settle()
				d.outcome(id, confirmed)
			}
			d.pass(time.Second)
			settle()
		}
		if most := minutes * dht.DefaultPace * 2 / 3; passed > most+rate || passed < most*9/10 {
			t.Errorf("%d relays a second: got %d relayed, want about %d", rate, passed, most)
		}
		d.nothing()
	}
}
