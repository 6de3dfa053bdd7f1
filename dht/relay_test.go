package dht_test

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
)

// TestRelayRecorded passes recorded messages on: to everybody but whom they came
// from, byte for byte what the reference passed on, whatever the order in which
// the header's fields came. Nothing of it is recorded.
//
// conforms: dht 16, 67, 71, 74, 147
func TestRelayRecorded(t *testing.T) {
	for _, v := range vectors(t, "forwarded") {
		want := v.bytes(t, "forwarded_envelope")
		header, body := frameField(t, want, 1), frameField(t, want, 2)
		var backwards []byte // the fields from the last to the first, with one that nobody knows
		for rest := header; len(rest) > 0; {
			n := fieldLen(t, rest)
			backwards = append(slices.Clone(rest[:n]), backwards...)
			rest = rest[n:]
		}
		backwards = protowire.AppendTag(backwards, 20, protowire.BytesType)
		backwards = protowire.AppendBytes(backwards, []byte("what is this"))
		strange := protowire.AppendTag(nil, 2, protowire.BytesType)
		strange = protowire.AppendBytes(strange, body)
		strange = protowire.AppendTag(strange, 1, protowire.BytesType)
		strange = protowire.AppendBytes(strange, backwards)

		for _, frame := range [][]byte{want, strange} {
			d := newDesk(t, villagers, nil)
			d.now = v.now(t)
			e := decode(t, frame)
			d.relay(&e, dht.Propagate{To: e.Header.Destination, Exclude: []identity.NodeID{idOf("b")}})
			if got := to(d.writes); got != "acd" {
				t.Fatalf("%s: got it passed on to %q, want acd", v.name, got)
			}
			for _, w := range d.writes {
				equal(t, v.name+": passed on", w.Frame, want)
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

func relayed(n int) *dht.Envelope {
	return &dht.Envelope{Header: dht.Header{Version: 2, Tag: 7}, Body: dht.AppendBody(nil, nil, make([]byte, n))}
}

// TestRelayOutcomes: what is passed on is counted and has no report; it is tried
// again while it was not written, never when it is in doubt.
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
	d.pass(58*time.Second + time.Millisecond)
	if len(d.withdrawn) != 1 {
		t.Errorf("got %d withdrawn, want 1", len(d.withdrawn))
	}
	d.pass(time.Second)
	c := d.o.Counts()
	if c.Relays != 1 || c.RelayCopies != 4 || c.RelayConfirmed != 1 || c.RelayUnclear != 3 || c.Sends+c.Copies+c.Failed+c.InDoubt+c.Confirmed+c.Resent != 0 {
		t.Errorf("got %+v", c)
	}
	d.nothing()

	d.relay(relayed(1), dht.Direct{Peer: idOf("z")})
	d.relay(relayed(1), dht.DirectKey{Key: d.secret.PublicKey()})
	if c := d.o.Counts(); c.RelaysNobody != 2 {
		t.Errorf("got %d passed on to nobody, want 2", c.RelaysNobody)
	}
	if accepted, _ := d.ledger.Counts(); accepted != 0 {
		t.Errorf("got %d sends in the ledger, want none", accepted)
	}
	d.nothing()
}

// TestRelayLimit: what is passed on is bounded in bytes, for each peer that it
// goes to and comes from and for all, also when the bytes are in the header. Our
// own messages are not held up, and there is room again when it is written.
func TestRelayLimit(t *testing.T) {
	for name, fresh := range map[string]func(size int) *dht.Envelope{
		"body": relayed,
		"signature": func(size int) *dht.Envelope {
			e := relayed(1)
			e.Header.Signature = make([]byte, size)
			return e
		},
	} {
		t.Run(name, func(t *testing.T) {
			const size = 100_000
			most := dht.MaxRelayedTo / size
			d := newDesk(t, villagers, nil)
			for range 20 {
				d.relay(fresh(size), dht.Flood{})
			}
			c := d.o.Counts()
			if c.RelayCopies != uint64(4*most) || c.RelaysDropped != uint64(20-most) || c.RelayCopiesDropped != uint64(4*(20-most)) {
				t.Errorf("got %d copies passed on, %d messages and %d copies dropped, want %d for each of four peers", c.RelayCopies, c.RelaysDropped, c.RelayCopiesDropped, most)
			}
			d.send(plain("j", 1))
			d.wrote(1)
			d.send(plain("a", 2))
			d.wrote(2)
			d.drain(confirmed)
			d.relay(fresh(size), dht.Flood{})
			if len(d.writes) != 4 {
				t.Errorf("got %d written when there is room again, want 4", len(d.writes))
			}
			d.drain(confirmed)

			// One of any size.
			d.relay(fresh(4<<20), dht.Direct{Peer: idOf("a")})
			d.relay(fresh(1), dht.Direct{Peer: idOf("a")})
			if c := d.o.Counts(); c.RelaysDropped != uint64(20-most)+1 {
				t.Errorf("got %d dropped, want what came after a large one", c.RelaysDropped)
			}
			d.nothing()
		})
	}
}

// TestRelayBudget: a peer that takes nothing, or sends too much, has nothing
// dropped that is not for it, or from it.
func TestRelayBudget(t *testing.T) {
	dropped := func(t *testing.T, d *desk, want uint64) {
		t.Helper()
		if n := d.o.Counts().RelaysDropped; n != want {
			t.Errorf("got %d dropped, want %d", n, want)
		}
	}
	one := func(name string) dht.Strategy { return dht.Selected{Peers: []identity.NodeID{idOf(name)}} }
	t.Run("large frames", func(t *testing.T) {
		d := newDesk(t, villagers, nil)
		d.apply(d.o.Relay(d.now, idOf("y"), relayed(8<<20), one("a")))
		d.relay(relayed(6016), one("b"))
		dropped(t, d, 0)
		d.relay(relayed(2<<20), one("c")) // they have half of all, together
		dropped(t, d, 1)
		d.nothing()
	})
	t.Run("slow peer", func(t *testing.T) {
		d := newDesk(t, villagers, nil)
		d.view.connected = []string{"a", "b"}
		for range 300 {
			d.relay(relayed(6016), dht.Flood{})
			for _, w := range slices.Clone(d.writes) {
				if w.Peer == idOf("b") {
					d.settle(w, confirmed)
				}
			}
		}
		c := d.o.Counts()
		if to := uint64(dht.MaxRelayedTo / (6016 + 300)); c.RelaysDropped != 0 || c.RelayCopies < 300+to || c.RelayCopies > 300+to+10 {
			t.Errorf("got %d dropped for all, %d copies, want 300 to b and %d to a", c.RelaysDropped, c.RelayCopies, to)
		}
		d.nothing()
	})
	t.Run("busy source", func(t *testing.T) {
		d := newDesk(t, villagers, nil)
		from := func(source, to byte) {
			d.apply(d.o.Relay(d.now, idOf(string(source)), relayed(900_000), one(string(to))))
		}
		for to := byte('a'); to < 'a'+8; to++ {
			from('y', to)
		}
		dropped(t, d, 4)
		for to := byte('a') + 4; to < 'a'+8; to++ {
			from('x', to)
		}
		dropped(t, d, 4)
		from('w', 'a'+8) // all is taken
		dropped(t, d, 4)
		from('w', 'a'+9)
		dropped(t, d, 5)
		d.nothing()
	})
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
				d.relay(relayed(1), dht.Selected{Peers: []identity.NodeID{idOf(name)}})
				got += len(d.writes)
				d.drain(confirmed)
			}
		}
		pass(want-1, "a")
		d.pass(30 * time.Second)
		pass(10, "a")
		if got != want {
			t.Errorf("got %d passed on in a minute, want %d", got, want)
		}
		if c := d.o.Counts(); c.RelaysDropped != 9 {
			t.Errorf("got %d dropped, want the 9 beyond", c.RelaysDropped)
		}
		pass(1, "b")
		d.send(plain("a", 1))
		if d.wrote(1); got != want+1 {
			t.Errorf("got %d passed on, want one for another peer, too", got)
		}
		d.drain(confirmed)

		paces := d.o.Paces(d.now)
		d.begin(func(o *dht.OutboundOptions) { set(o); o.Paces = paces })
		pass(1, "a")
		if got != want+1 {
			t.Error("got one more passed on after a restart")
		}
		d.pass(31 * time.Second)
		pass(want+10, "a")
		if got != want+1+want-1 {
			t.Errorf("got %d passed on in the next minute, want %d", got-want-1, want-1)
		}
		d.pass(2 * time.Minute)
		d.nothing()
	}
}

// TestRelaysYield: of what waits for a peer our own goes first, and what is
// passed on leaves it room in the window.
func TestRelaysYield(t *testing.T) {
	d := newDesk(t, villagers, func(o *dht.OutboundOptions) { o.Window = 64 << 10 })
	a := dht.Selected{Peers: []identity.NodeID{idOf("a")}}
	for range 20 {
		d.relay(relayed(6016), a)
	}
	if n := len(d.under); n != 5 {
		t.Errorf("got %d given out that are passed on, want 5: half of the window", n)
	}
	big := plain("a", 1)
	big.Body = append(big.Body, make([]byte, 24<<10)...)
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
		t.Errorf("got %d passed on when none of our own waits, want 5", n)
	}
	d.nothing()
}

// TestRelayPace: of what a paced peer may get two thirds are for what is passed
// on: our own goes at once, however much that is.
//
// conforms: V 28
func TestRelayPace(t *testing.T) {
	for _, rate := range []int{14, 40} {
		d := newDesk(t, villagers, nil)
		d.paced[idOf("a")] = true
		meter, others := newMeter(t, dht.DefaultPace), newMeter(t, dht.DefaultPace*2/3)
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
			t.Errorf("%d relays a second: got %d passed on, want about %d", rate, passed, most)
		}
		d.nothing()
	}
}
