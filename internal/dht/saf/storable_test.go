package saf_test

import (
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/dht/saf"
)

// TestStorable has a message of each kind that is not stored.
//
// conforms: dht 92, 94
func TestStorable(t *testing.T) {
	self := identity.PublicKey{9, 9}
	rules := saf.Rules{Key: self, Message: 512 << 10, Region: saf.NewRegion(self.NodeID(), 1, func(func(saf.Neighbour) bool) {})}
	narrow := rules
	narrow.Region = saf.Region{}
	for _, c := range []struct {
		name   string
		change func(*dht.Incoming)
		to     saf.Destination
		narrow bool
		want   saf.Refusal
		prio   saf.Priority
	}{
		{name: "for a known peer", to: saf.Destination{Known: true}, prio: saf.High},
		{name: "for an unknown peer", prio: saf.Low},
		{name: "second copy", change: func(m *dht.Incoming) { m.Copies = 2 }, want: saf.Repeated},
		{name: "empty", change: func(m *dht.Incoming) { m.Envelope.Body = nil }, want: saf.Empty},
		{name: "expired", change: func(m *dht.Incoming) { m.Envelope.Header.Expires = uint64(begin.Unix()) - 1 }, want: saf.Expired},
		{name: "expires now", change: func(m *dht.Incoming) { m.Envelope.Header.Expires = uint64(begin.Unix()) }, prio: saf.Low},
		{name: "greatest", change: func(m *dht.Incoming) { m.Envelope.Body = make([]byte, 524288) }, prio: saf.Low},
		{name: "too long", change: func(m *dht.Incoming) { m.Envelope.Body = make([]byte, 524289) }, want: saf.TooLong},
		{name: "Discovery", change: func(m *dht.Incoming) { m.Envelope.Header.Type = wire.TypeDiscovery }, want: saf.OtherType},
		{name: "request for stored messages", change: func(m *dht.Incoming) { m.Envelope.Header.Type = wire.TypeStoredRequest }, want: saf.OtherType},
		{name: "clear", change: func(m *dht.Incoming) { m.Sealed = false }, want: saf.Readable},
		{name: "unsigned", change: func(m *dht.Incoming) { m.Envelope.Header.Signature = nil }, want: saf.Unsigned},
		{name: "for this node", change: func(m *dht.Incoming) { m.Envelope.Header.Destination.Key = self }, want: saf.ForUs},
		{name: "for nobody", change: func(m *dht.Incoming) { m.Envelope.Header.Destination = wire.Destination{} }, want: saf.ForNobody},
		{name: "for the key zero", change: func(m *dht.Incoming) { m.Envelope.Header.Destination.Key = identity.PublicKey{} }, want: saf.ForNobody},
		{name: "outside the region", narrow: true, to: saf.Destination{Known: true}, want: saf.OutsideRegion},
		{name: "connected lately", narrow: true, to: saf.Destination{Lately: true}, prio: saf.Low},
		{name: "banned", to: saf.Destination{Known: true, Banned: true}, want: saf.Banned},
	} {
		m := &dht.Incoming{Wall: begin, Copies: 1, Sealed: true, Envelope: wire.Envelope{
			Header: wire.Header{
				Destination: wire.Destination{Known: true, Key: identity.PublicKey{7}}, Signature: []byte{1},
				Flags: wire.Encrypted, Expires: uint64(begin.Add(time.Hour).Unix()),
			},
			Body: []byte{1},
		}}
		if c.change != nil {
			c.change(m)
		}
		r := &rules
		if c.narrow {
			r = &narrow
		}
		prio, why := r.Storable(m, func(id identity.NodeID) saf.Destination {
			if want := m.Envelope.Header.Destination.Key.NodeID(); id != want {
				t.Errorf("%s: asked about %s, want %s", c.name, id, want)
			}
			return c.to
		})
		if why != c.want || prio != c.prio {
			t.Errorf("%s: got %v, refused because %v, want %v, %v", c.name, prio, why, c.prio, c.want)
		}
	}
}

// TestRefusalsHaveNames: each reason has its own words.
func TestRefusalsHaveNames(t *testing.T) {
	seen := map[string]bool{"": true}
	for _, r := range saf.Refusals() {
		b, _ := r.MarshalText()
		if seen[string(b)] {
			t.Errorf("refusal %d is %q, want its own words", r, b)
		}
		seen[string(b)] = true
	}
}
