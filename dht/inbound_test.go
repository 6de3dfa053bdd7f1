package dht_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// The keys of the tests: 1 writes, 2 is our node, 5 is the peer that a message
// comes from, 6 somebody else.
const (
	writer = 1
	us     = 2
	relay  = 5
	other  = 6
)

// node is a chain with what it needs.
type node struct {
	t     *testing.T
	dedup *dht.Dedup
	chain *dht.Inbound
	known bool
	now   time.Time
	ahead time.Duration // of the system's clock
}

func newNode(t *testing.T, change func(*dht.InboundOptions)) *node {
	t.Helper()
	n := &node{t: t, dedup: dht.NewDedup(100), known: true, now: time.Unix(expires, 0)}
	o := dht.InboundOptions{
		Secret: repeated(t, us), Features: identity.FeatureNode, Dedup: n.dedup,
		Known: func(identity.NodeID) bool { return n.known },
	}
	if change != nil {
		change(&o)
	}
	n.chain = dht.NewInbound(o)
	return n
}

func (n *node) bytes(b []byte) (*dht.Incoming, dht.Verdict) {
	key := repeated(n.t, relay).PublicKey()
	return n.chain.Handle(n.now, n.now.Add(n.ahead), dht.Frame{Source: key.NodeID(), Key: key, Body: b})
}

func (n *node) handle(e wire.Envelope) (*dht.Incoming, dht.Verdict) {
	n.t.Helper()
	return n.bytes(e.Append(nil))
}

// drafts of messages of every kind
func forAnybody(t testing.TB) wire.Draft { return wire.Draft{Body: ping(t)} }
func signed(t testing.TB) wire.Draft     { return wire.Draft{Body: ping(t), Sign: true} }
func sealedFor(t testing.TB, secret byte) wire.Draft {
	k := repeated(t, secret).PublicKey()
	return wire.Draft{Destination: wire.To(k), EncryptFor: k, Body: ping(t)}
}

func typed(d wire.Draft, mt wire.MessageType) wire.Draft {
	d.Type = mt
	return d
}

// TestVerdicts goes through every way in which a message ends.
//
// conforms: dht 31, 35-44, 48, 68-70, 75, 91, 136
func TestVerdicts(t *testing.T) {
	noPoint := bytes.Repeat([]byte{0xff}, 32)
	change := func(d wire.Draft, f func(*wire.Envelope)) func(*testing.T) []byte {
		return func(t *testing.T) []byte {
			e := compose(t, d)
			e.Body = bytes.Clone(e.Body)
			f(&e)
			return e.Append(nil)
		}
	}
	plain := func(d wire.Draft) func(*testing.T) []byte { return change(d, func(*wire.Envelope) {}) }
	const none = time.Duration(0)
	for _, c := range []struct {
		name     string
		message  func(*testing.T) []byte
		features identity.Features // ours; the zero value stands for a full node
		client   bool
		stranger bool // the source is not in the peer store
		late     time.Duration
		want     dht.Reason
		ban      time.Duration
		relayed  bool
	}{
		{name: "empty", message: func(*testing.T) []byte { return nil }, want: dht.Undecodable},
		{name: "no envelope", message: func(*testing.T) []byte { return []byte("hello") }, want: dht.Undecodable},
		{name: "unknown source", message: plain(signed(t)), stranger: true, want: dht.UnknownSource},
		{name: "unknown source, bad header", message: change(signed(t), func(e *wire.Envelope) { e.Header.Version = 9 }), stranger: true, want: dht.UnknownSource},
		{name: "unknown source, expired", message: plain(signed(t)), stranger: true, late: time.Second, want: dht.UnknownSource},
		{name: "bad version", message: change(signed(t), func(e *wire.Envelope) { e.Header.Version = 9 }), want: dht.Undecodable},
		{name: "bad type", message: change(signed(t), func(e *wire.Envelope) { e.Header.Type = 9 }), want: dht.Undecodable},
		{name: "bad flags", message: change(signed(t), func(e *wire.Envelope) { e.Header.Flags = 8 }), want: dht.Undecodable},
		{name: "ephemeral key no point", message: change(sealedFor(t, other), func(e *wire.Envelope) { e.Header.Ephemeral = noPoint }), want: dht.Undecodable},

		{name: "request for stored messages", message: plain(typed(forAnybody(t), wire.TypeStoredRequest)), want: dht.Handled},
		{name: "request for stored messages, to a client", message: plain(typed(forAnybody(t), wire.TypeStoredRequest)), client: true, want: dht.NoStore},
		{name: "in its last second", message: plain(signed(t)), want: dht.Delivered},
		{name: "expired", message: plain(signed(t)), late: time.Second, want: dht.Expired},
		{name: "expired, signature wrong", message: change(signed(t), func(e *wire.Envelope) { e.Body[0] ^= 1 }), late: time.Second, want: dht.Expired},
		{name: "without expiry", message: change(forAnybody(t), func(e *wire.Envelope) { e.Header.Expires = 0 }), late: 1e6 * time.Hour, want: dht.Delivered},

		{name: "encrypted without destination", message: change(sealedFor(t, other), func(e *wire.Envelope) { e.Header.Destination = wire.Destination{} }), want: dht.BadSemantics, ban: protocol.BanLong},
		{name: "encrypted without ephemeral key", message: change(sealedFor(t, other), func(e *wire.Envelope) { e.Header.Ephemeral = nil }), want: dht.BadSemantics, ban: protocol.BanLong},
		{name: "encrypted without signature", message: change(sealedFor(t, us), func(e *wire.Envelope) { e.Header.Signature = nil }), want: dht.BadSemantics, ban: protocol.BanLong},
		{name: "encrypted without body", message: change(sealedFor(t, us), func(e *wire.Envelope) { e.Body = nil }), want: dht.BadSemantics, ban: protocol.BanLong},
		{name: "clear, signature wrong", message: change(signed(t), func(e *wire.Envelope) { e.Body[0] ^= 1 }), want: dht.BadSignature, ban: protocol.BanLong},
		{name: "clear, signature no protobuf", message: change(signed(t), func(e *wire.Envelope) { e.Header.Signature = []byte("x") }), want: dht.BadSignature, ban: protocol.BanLong},
		{name: "encrypted for us, signature wrong", message: change(sealedFor(t, us), func(e *wire.Envelope) { e.Body[0] ^= 1 }), want: dht.BadSignature, ban: protocol.BanLong},
		{name: "encrypted for somebody else, signature wrong", message: change(sealedFor(t, other), func(e *wire.Envelope) { e.Body[0] ^= 1 }), want: dht.BadSignature, ban: protocol.BanLong},

		{name: "clear", message: plain(forAnybody(t)), want: dht.Delivered},
		{name: "clear, for somebody else", message: change(forAnybody(t), func(e *wire.Envelope) { e.Header.Destination = wire.To(repeated(t, other).PublicKey()) }), want: dht.Delivered},
		{name: "clear, no body", message: change(forAnybody(t), func(e *wire.Envelope) { e.Body = []byte{0x0a, 0x09} }), want: dht.BadBody},
		{name: "clear, too many parts", message: change(forAnybody(t), func(e *wire.Envelope) { e.Body = wire.AppendBody(nil, make([][]byte, 17)...) }), want: dht.BadBody},
		{name: "clear, no message header", message: change(forAnybody(t), func(e *wire.Envelope) { e.Body = nil }), want: dht.BadBody},
		{name: "clear, one part", message: change(forAnybody(t), func(e *wire.Envelope) { e.Body = []byte{0x0a, 0} }), want: dht.BadBody},
		{name: "encrypted for us", message: plain(sealedFor(t, us)), want: dht.Delivered},
		{name: "encrypted for us, undecryptable", message: func(t *testing.T) []byte {
			e := compose(t, sealedFor(t, us))
			e.Body[0] ^= 1
			s, err := wire.Sign(repeated(t, other), e.Binding(), scalars(repeated(t, 4)))
			if err != nil {
				t.Fatal(err)
			}
			e.Header.Signature = s.Append(nil)
			return e.Append(nil)
		}, want: dht.Undecryptable},

		{name: "for somebody else", message: plain(sealedFor(t, other)), want: dht.ForOthers, relayed: true},
		{name: "for somebody else, a join", message: plain(typed(sealedFor(t, other), wire.TypeJoin)), want: dht.ForOthers, relayed: true},
		{name: "for somebody else, a discovery", message: plain(typed(sealedFor(t, other), wire.TypeDiscovery)), want: dht.ForOthers, relayed: true},
		{name: "for somebody else, a response", message: plain(typed(sealedFor(t, other), wire.TypeDiscoveryResponse)), want: dht.ForOthers},
		{name: "for somebody else, a request", message: plain(typed(sealedFor(t, other), wire.TypeStoredRequest)), want: dht.ForOthers},
		{name: "for somebody else, stored messages", message: plain(typed(sealedFor(t, other), wire.TypeStoredMessages)), want: dht.ForOthers},
		{name: "for somebody else, through a client", message: plain(sealedFor(t, other)), client: true, want: dht.ForOthers},
		{name: "for somebody else, expired", message: plain(sealedFor(t, other)), late: time.Second, want: dht.Expired},
		{name: "for the peer that sent it", message: plain(sealedFor(t, relay)), want: dht.ReturnedToOwner, ban: protocol.BanMedium},
		{name: "for the peer that sent it, to a client", message: plain(sealedFor(t, relay)), client: true, want: dht.ForOthers},
		{name: "for the peer that sent it, a response", message: plain(typed(sealedFor(t, relay), wire.TypeDiscoveryResponse)), want: dht.ForOthers},

		{name: "join", message: plain(typed(signed(t), wire.TypeJoin)), want: dht.Handled},
		{name: "discovery for us", message: plain(typed(sealedFor(t, us), wire.TypeDiscovery)), want: dht.Handled},
		{name: "discovery response", message: plain(typed(signed(t), wire.TypeDiscoveryResponse)), want: dht.Handled},
		{name: "stored messages", message: plain(typed(forAnybody(t), wire.TypeStoredMessages)), want: dht.Handled},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := newNode(t, func(o *dht.InboundOptions) {
				if c.client {
					o.Features = identity.FeatureNone
				}
			})
			n.known = !c.stranger
			n.now = n.now.Add(c.late)
			b := c.message(t)
			_, v := n.bytes(b)
			if v.Reason != c.want || (v.Relay != nil) != c.relayed {
				t.Errorf("got %v, relayed %v, %v, want %v, relayed %v", v.Reason, v.Relay != nil, v.Err, c.want, c.relayed)
			}
			ban := none
			if v.Violation != nil {
				ban = v.Violation.Ban
			}
			if ban != c.ban {
				t.Errorf("got a ban of %v, want %v", ban, c.ban)
			}
			if (v.Domain != nil) != (v.Reason == dht.Delivered) {
				t.Errorf("got %v with a message for the application: %v", v.Reason, v.Domain != nil)
			}
			// What was refused before the count leaves no trace.
			seen := uint32(0)
			if c.want == dht.Delivered || c.want == dht.Handled || c.want == dht.ForOthers || c.want == dht.ReturnedToOwner ||
				c.want == dht.BadBody && strings.Contains(c.name, "message header") || c.name == "clear, one part" {
				seen = 1
			}
			if e, err := wire.DecodeEnvelope(b); err == nil && n.dedup.Seen(e.DedupHash()) != seen {
				t.Errorf("counted %d times, want %d", n.dedup.Seen(e.DedupHash()), seen)
			}
		})
	}
}

// conforms: dht 26
func TestOrigins(t *testing.T) {
	for name, c := range map[string]struct {
		d    wire.Draft
		want identity.PublicKey
	}{
		"unsigned":  {forAnybody(t), identity.PublicKey{}},
		"signed":    {signed(t), repeated(t, writer).PublicKey()},
		"encrypted": {sealedFor(t, us), repeated(t, writer).PublicKey()},
	} {
		m, v := newNode(t, nil).handle(compose(t, c.d))
		if v.Reason != dht.Delivered || m.Origin != c.want || v.Domain.Type != 1 || string(v.Domain.Body) != "\x10\x2a" {
			t.Errorf("%s: got %v from %v, %+v", name, v.Reason, m.Origin, v.Domain)
		}
	}
	m, v := newNode(t, nil).handle(compose(t, sealedFor(t, other)))
	if !m.Sealed || !m.Origin.IsZero() || m.Parts != nil {
		t.Errorf("for somebody else: got %v, origin %v, %d parts, want nothing known", v.Reason, m.Origin, len(m.Parts))
	}
}

// conforms: dht 45
func TestTamperedCopyDoesNotShadow(t *testing.T) {
	n := newNode(t, nil)
	tampered := compose(t, signed(t))
	tampered.Header.Type = wire.TypeStoredMessages
	if _, v := n.handle(tampered); v.Reason != dht.BadSignature || v.Violation == nil {
		t.Errorf("tampered: got %v, want a banned source", v.Reason)
	}
	if _, v := n.handle(compose(t, signed(t))); v.Reason != dht.Delivered {
		t.Errorf("genuine: got %v, want it delivered", v.Reason)
	}
	// Seen once, a copy costs no signature; nobody is banned for it either.
	if _, v := n.handle(tampered); v.Reason != dht.Duplicate || v.Violation != nil {
		t.Errorf("tampered again: got %v, want a duplicate", v.Reason)
	}
}

// conforms: dht 46, 47, 148
func TestOccurrences(t *testing.T) {
	for _, c := range []struct {
		name    string
		allowed uint32
		draft   wire.Draft
		want    []dht.Reason
	}{
		{"once", 1, forAnybody(t), []dht.Reason{dht.Delivered, dht.Duplicate, dht.Duplicate}},
		{"unset", 0, forAnybody(t), []dht.Reason{dht.Delivered, dht.Duplicate}},
		{"for anybody", 3, forAnybody(t), []dht.Reason{dht.Delivered, dht.Delivered, dht.Delivered, dht.Duplicate, dht.Duplicate}},
		{"for a key", 3, wire.Draft{Destination: wire.To(repeated(t, us).PublicKey()), Body: ping(t)}, []dht.Reason{dht.Delivered, dht.NotRepeated, dht.NotRepeated, dht.Duplicate}},
		{"of the DHT", 3, typed(signed(t), wire.TypeJoin), []dht.Reason{dht.Handled, dht.NotRepeated, dht.NotRepeated, dht.Duplicate}},
		{"for somebody else", 3, sealedFor(t, other), []dht.Reason{dht.ForOthers, dht.NotRepeated, dht.NotRepeated, dht.Duplicate}},
	} {
		n := newNode(t, func(o *dht.InboundOptions) { o.Occurrences = c.allowed })
		e := compose(t, c.draft)
		for i, want := range c.want {
			e.Header.Tag++ // copies of one message may have different tags
			if m, v := n.handle(e); v.Reason != want {
				t.Errorf("%s, copy %d (count %d): got %v, want %v", c.name, i+1, m.Copies, v.Reason, want)
			}
		}
	}
}

// TestOverruledIsClosed: a layer of any position ends a message, although the layers below
// deliver it. The message counts as handled, because no handler gets it.
func TestOverruledIsClosed(t *testing.T) {
	for _, at := range []dht.Position{dht.BeforeVerify, dht.AfterDedup, dht.BeforeDeliver} {
		for name, end := range map[string]func() dht.Verdict{
			"stops":  func() dht.Verdict { return dht.Verdict{Reason: dht.Stopped} },
			"panics": func() dht.Verdict { panic("a bug") },
		} {
			n := newNode(t, func(o *dht.InboundOptions) {
				o.Layers = map[dht.Position][]dht.Layer{at: {func(next dht.Handler) dht.Handler {
					return func(m *dht.Incoming) dht.Verdict {
						if v := next(m); v.Reason != dht.Delivered {
							t.Errorf("got %v below the layer, want it delivered", v.Reason)
						}
						return end()
					}
				}}}
			})
			e := compose(t, sealedFor(t, us))
			n.handle(e)
			if h := e.DedupHash(); n.dedup.Handled(h) != 1 || n.dedup.InHand(h) {
				t.Errorf("%v, %s: got it handled %d times, in hand %v, want once", at, name, n.dedup.Handled(h), n.dedup.InHand(h))
			}
		}
	}
}

// A duplicate is counted, and with it the message is not forgotten.
//
// conforms: dht 50
func TestDuplicatesAreCounted(t *testing.T) {
	n := newNode(t, nil)
	n.now = n.now.Add(-time.Minute)
	e := compose(t, signed(t))
	for i := range 3 {
		n.now = n.now.Add(time.Second)
		if m, _ := n.handle(e); m.Copies != uint32(i+1) {
			t.Errorf("copy %d: got count %d", i+1, m.Copies)
		}
	}
	n.dedup.Release(e.DedupHash(), repeated(t, relay).PublicKey().NodeID(), n.now, true)
	c := n.dedup.Changes(10)
	if len(c.Put) != 1 || c.Put[0].Hits != 3 || !c.Put[0].LastHit.Equal(n.now) || c.Put[0].From != repeated(t, relay).PublicKey().NodeID() {
		t.Errorf("got %+v, want three hits, the last one now, from the relay", c.Put)
	}
}

// An echo of an own message is a copy.
//
// conforms: dht 54
func TestEchoIsDropped(t *testing.T) {
	n := newNode(t, nil)
	e := compose(t, signed(t))
	n.dedup.Own(e.DedupHash(), repeated(t, us).PublicKey().NodeID(), n.now)
	if _, v := n.handle(e); v.Reason != dht.Duplicate {
		t.Errorf("got %v, want a duplicate", v.Reason)
	}
}

// A message that is relayed may be offered to the store first: it then goes to its holder
// or to nodes near it, and otherwise it is propagated. Only messages of the application
// are stored.
//
// conforms: dht 71
func TestRelayVerdicts(t *testing.T) {
	source := repeated(t, relay).PublicKey().NodeID()
	destination := repeated(t, other).PublicKey()
	exclude := []identity.NodeID{source}
	otherwise := dht.Propagate{To: destination, Exclude: exclude}
	ifKept := dht.DirectOrClosest{To: destination.NodeID(), Exclude: exclude, ConnectedOnly: true}
	for _, c := range []struct {
		name  string
		draft wire.Draft
		store dht.Strategy
	}{
		{"of the application", sealedFor(t, other), ifKept},
		{"a join", typed(sealedFor(t, other), wire.TypeJoin), nil},
		{"a discovery", typed(sealedFor(t, other), wire.TypeDiscovery), nil},
	} {
		n := newNode(t, nil)
		e := compose(t, c.draft)
		m, v := n.handle(e)
		if !equalStrategies(v.Relay, otherwise) || !equalStrategies(v.Store, c.store) || v.Reason != dht.ForOthers {
			t.Errorf("%s: got %v, %+v, or %+v if stored, want %+v or %+v", c.name, v.Reason, v.Relay, v.Store, otherwise, c.store)
		}
		equal(t, c.name+": what is relayed", m.Envelope.Append(nil), e.Append(nil))
	}
	n := newNode(t, nil)
	n.handle(compose(t, sealedFor(t, other)))
	if _, v := n.handle(compose(t, sealedFor(t, other))); v.Store != nil {
		t.Errorf("a copy: got %+v, want it offered to no store again", v.Store)
	}
}

// Nobody has the key zero, so what is sealed for it is not relayed.
func TestNothingIsRelayedToTheZeroKey(t *testing.T) {
	e := compose(t, sealedFor(t, other))
	e.Header.Destination = wire.To(identity.PublicKey{})
	s, err := wire.Sign(repeated(t, writer), e.Binding(), scalars(repeated(t, 4)))
	if err != nil {
		t.Fatal(err)
	}
	e.Header.Signature = s.Append(nil)
	if _, v := newNode(t, nil).handle(e); v.Reason != dht.ForOthers || v.Relay != nil {
		t.Errorf("got %v, relaying to %v, want it to nobody", v.Reason, v.Relay)
	}
}

// A client stores nothing for others, and nothing is stored for the peer that sent it or
// for the key zero.
//
// conforms: dht 68
func TestNothingIsStored(t *testing.T) {
	client := newNode(t, func(o *dht.InboundOptions) { o.Features = identity.FeatureNone })
	if _, v := client.handle(compose(t, sealedFor(t, other))); v.Relay != nil || v.Store != nil {
		t.Errorf("a client: got %v or %v, want nothing relayed or stored", v.Relay, v.Store)
	}
	if _, v := newNode(t, nil).handle(compose(t, sealedFor(t, relay))); v.Store != nil {
		t.Errorf("for its source: got %v, want nothing stored", v.Store)
	}
}

func equalStrategies(a, b dht.Strategy) bool {
	switch a := a.(type) {
	case nil:
		return b == nil
	case dht.Propagate:
		b, ok := b.(dht.Propagate)
		return ok && a.To == b.To && len(a.Exclude) == 1 && len(b.Exclude) == 1 && a.Exclude[0] == b.Exclude[0]
	case dht.DirectOrClosest:
		b, ok := b.(dht.DirectOrClosest)
		return ok && a.To == b.To && a.ConnectedOnly == b.ConnectedOnly && len(a.Exclude) == 1 && len(b.Exclude) == 1 && a.Exclude[0] == b.Exclude[0]
	}
	return false
}

// Layers of the application's run at their places, the first given outermost,
// and can end a message.
func TestLayers(t *testing.T) {
	var trace []string
	stop := ""
	layer := func(name string) dht.Layer {
		return func(next dht.Handler) dht.Handler {
			return func(m *dht.Incoming) dht.Verdict {
				trace = append(trace, name)
				if name == stop {
					return dht.Verdict{Reason: dht.Stopped, Err: errors.New("not today")}
				}
				return next(m)
			}
		}
	}
	layers := map[dht.Position][]dht.Layer{
		dht.BeforeVerify:  {layer("verify 1"), layer("verify 2")},
		dht.AfterDedup:    {layer("dedup")},
		dht.BeforeDeliver: {layer("deliver")},
	}
	badSignature := compose(t, signed(t))
	badSignature.Body = []byte{0x0a, 0}
	for _, c := range []struct {
		name  string
		e     wire.Envelope
		stop  string
		want  dht.Reason
		trace string
	}{
		{"for the application", compose(t, signed(t)), "", dht.Delivered, "verify 1, verify 2, dedup, deliver"},
		{"a join", compose(t, typed(signed(t), wire.TypeJoin)), "", dht.Handled, "verify 1, verify 2, dedup"},
		{"for somebody else", compose(t, sealedFor(t, other)), "", dht.ForOthers, "verify 1, verify 2, dedup"},
		{"bad signature", badSignature, "", dht.BadSignature, "verify 1, verify 2"},
		{"stopped first", compose(t, signed(t)), "verify 2", dht.Stopped, "verify 1, verify 2"},
		{"stopped after dedup", compose(t, sealedFor(t, other)), "dedup", dht.Stopped, "verify 1, verify 2, dedup"},
		{"stopped before delivery", compose(t, signed(t)), "deliver", dht.Stopped, "verify 1, verify 2, dedup, deliver"},
	} {
		trace, stop = nil, c.stop
		n := newNode(t, func(o *dht.InboundOptions) { o.Layers = layers })
		_, v := n.handle(c.e)
		if got := strings.Join(trace, ", "); v.Reason != c.want || got != c.trace || v.Relay != nil && c.want == dht.Stopped {
			t.Errorf("%s: got %v through %s, want %v through %s", c.name, v.Reason, got, c.want, c.trace)
		}
	}
}

// TestLayerPanics: a panic in a layer ends the message alone, wherever the layer
// stands and whether it comes before or after what is behind it. A panic of the
// chain's own goes on through the layers.
func TestLayerPanics(t *testing.T) {
	through := func(next dht.Handler) dht.Handler { return func(m *dht.Incoming) dht.Verdict { return next(m) } }
	for _, at := range []dht.Position{dht.BeforeVerify, dht.AfterDedup, dht.BeforeDeliver} {
		for name, layers := range map[string][]dht.Layer{
			"before": {through, func(dht.Handler) dht.Handler {
				return func(*dht.Incoming) dht.Verdict { panic("a bug") }
			}, through},
			"after": {through, func(next dht.Handler) dht.Handler {
				return func(m *dht.Incoming) dht.Verdict { next(m); panic("a bug") }
			}, through},
		} {
			n := newNode(t, func(o *dht.InboundOptions) { o.Layers = map[dht.Position][]dht.Layer{at: layers} })
			d := forAnybody(t)
			d.Type, d.Body = wire.TypeDomain, wire.AppendBody(nil, wire.DomainHeader{Type: 1000}.Append(nil), []byte("body"))
			m, v := n.handle(compose(t, d))
			p, ok := errors.AsType[*dht.LayerPanic](v.Err)
			if !ok || m == nil || v.Reason != dht.Panicked || v.Violation != nil || p.Layer != at.String() || p.Value != "a bug" || !bytes.Contains(p.Stack, []byte("TestLayerPanics")) {
				t.Errorf("%v, %s: got %+v, want panicked, and the layer's panic", at, name, v)
			}
		}
	}
	n := newNode(t, func(o *dht.InboundOptions) {
		o.Dedup = nil // which the chain itself does not expect
		o.Layers = map[dht.Position][]dht.Layer{dht.BeforeVerify: {through}}
	})
	defer func() {
		if recover() == nil {
			t.Error("got no panic, want that of the chain itself")
		}
	}()
	n.handle(compose(t, signed(t)))
}
