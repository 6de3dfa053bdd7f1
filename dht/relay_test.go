package dht_test

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
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

// TestRelayLimit: what is passed on and not written yet is bounded in bytes, also
// when the bytes are in the header.
func TestRelayLimit(t *testing.T) {
	for name, fresh := range map[string]func() *dht.Envelope{
		"body": func() *dht.Envelope { return relayed(1 << 20) },
		"signature": func() *dht.Envelope {
			e := relayed(1)
			e.Header.Signature = make([]byte, 1<<20)
			return e
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, villagers, nil)
			for range 20 {
				d.relay(fresh(), dht.Flood{})
			}
			c := d.o.Counts()
			if c.RelayCopies != 7*4 || c.RelaysDropped != 13 {
				t.Errorf("got %d copies passed on, %d messages dropped, want 28, 13", c.RelayCopies, c.RelaysDropped)
			}
			n := 0
			for _, w := range d.under {
				n += len(w.Frame)
			}
			if n/4 > dht.MaxRelayed {
				t.Errorf("got %d bytes under way, want at most %d", n/4, dht.MaxRelayed)
			}
			d.send(plain("j", 1)) // our own is not held up
			d.wrote(1)
			d.drain(protocol.Outcome{Kind: protocol.Confirmed})
			d.relay(fresh(), dht.Flood{})
			if len(d.writes) != 4 {
				t.Errorf("got %d written when there is room again, want 4", len(d.writes))
			}
			d.nothing()
		})
	}
}
