package dht_test

import (
	"crypto/rand"
	"errors"
	"testing"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
)

// storedFor is a message that a server has stored for us, as far as its answer was checked.
func (n *node) storedFor(d wire.Draft) *dht.Incoming {
	n.t.Helper()
	e := compose(n.t, d)
	key := repeated(n.t, relay).PublicKey()
	m := &dht.Incoming{
		Now: n.now, Wall: n.now, Source: key.NodeID(), Key: key, Envelope: e, Hash: e.DedupHash(), Copies: 1, Stored: true,
	}
	if e.Header.Encrypted() {
		signer, err := new(wire.Verifier).Verify(&e)
		if err != nil {
			n.t.Fatal(err)
		}
		o, err := e.Open(repeated(n.t, us), signer)
		if err != nil {
			n.t.Fatal(err)
		}
		m.Origin, m.Parts = o.Origin, o.Parts
		return m
	}
	var err error
	if m.Parts, err = wire.DecodeBody(e.Body); err != nil {
		n.t.Fatal(err)
	}
	return m
}

// A message that a server had stored for us goes to its handler, past the layers before
// delivery alone, and is neither relayed nor stored. What a handler is to get is not
// counted yet; everything else is.
//
// conforms: dht 108
func TestHandleStored(t *testing.T) {
	pass := func(next dht.Handler) dht.Handler {
		return func(m *dht.Incoming) dht.Verdict {
			if !m.Stored {
				t.Error("a layer got the message without Stored")
			}
			return next(m)
		}
	}
	never := func(next dht.Handler) dht.Handler {
		return func(*dht.Incoming) dht.Verdict { t.Error("got the message in another layer"); return dht.Verdict{} }
	}
	stop := func(dht.Handler) dht.Handler {
		return func(*dht.Incoming) dht.Verdict {
			return dht.Verdict{Reason: dht.Stopped, Err: errors.New("not today")}
		}
	}
	panics := func(dht.Handler) dht.Handler { return func(*dht.Incoming) dht.Verdict { panic("a bug") } }
	for _, c := range []struct {
		name  string
		draft wire.Draft
		layer dht.Layer
		seen  bool // before
		want  dht.Reason
		count uint32 // afterwards
	}{
		{"encrypted", sealedFor(t, us), pass, false, dht.Delivered, 0},
		{"clear", forAnybody(t), pass, false, dht.Delivered, 0},
		{"seen", sealedFor(t, us), never, true, dht.Duplicate, 1},
		{"no message header", wire.Draft{Body: wire.AppendBody(nil, nil)}, pass, false, dht.BadBody, 1},
		{"stopped", forAnybody(t), stop, false, dht.Stopped, 1},
		{"a layer panics", forAnybody(t), panics, false, dht.Panicked, 1},
	} {
		n := newNode(t, func(o *dht.InboundOptions) {
			o.Layers = map[dht.Position][]dht.Layer{dht.BeforeVerify: {never}, dht.AfterDedup: {never}, dht.BeforeDeliver: {c.layer}}
		})
		m := n.storedFor(c.draft)
		if c.seen {
			n.dedup.Count(m.Hash, identity.NodeID{}, n.now)
		}
		v := n.chain.HandleStored(m)
		if v.Reason != c.want || v.Relay != nil || v.Store != nil || (v.Domain != nil) != (v.Reason == dht.Delivered) {
			t.Errorf("%s: got %+v, want %v and nothing to relay", c.name, v, c.want)
		}
		if n := n.dedup.Seen(m.Hash); n != c.count {
			t.Errorf("%s: got it counted %d times, want %d", c.name, n, c.count)
		}
		if _, ok := errors.AsType[*dht.LayerPanic](v.Err); ok != (c.want == dht.Panicked) {
			t.Errorf("%s: got the error %v", c.name, v.Err)
		}
	}
}

// TestStoredCopyThatNobodyTakes: a layer stops a stored copy. Further copies are of no use then,
// if no handler has the message; one that a handler has stays in hand.
func TestStoredCopyThatNobodyTakes(t *testing.T) {
	stop := func(dht.Handler) dht.Handler {
		return func(*dht.Incoming) dht.Verdict { return dht.Verdict{Reason: dht.Stopped} }
	}
	for name, before := range map[string]func(*node, wire.Hash){
		"new": func(*node, wire.Hash) {},
		"dropped": func(n *node, h wire.Hash) {
			n.dedup.CountOpen(h, identity.NodeID{}, n.now)
			n.dedup.Release(h, identity.NodeID{}, n.now, false)
		},
		"evicted after that": func(n *node, h wire.Hash) {
			n.dedup.CountOpen(h, identity.NodeID{}, n.now)
			n.dedup.Release(h, identity.NodeID{}, n.now, false)
			for i := range n.dedup.Stats().Capacity {
				n.dedup.Count(wire.Hash{1, byte(i)}, identity.NodeID{}, n.now)
			}
		},
	} {
		n := newNode(t, func(o *dht.InboundOptions) {
			o.Layers = map[dht.Position][]dht.Layer{dht.BeforeDeliver: {stop}}
		})
		if err := n.dedup.Remember(rand.Reader); err != nil {
			t.Fatal(err)
		}
		m := n.storedFor(forAnybody(t))
		before(n, m.Hash)
		if v := n.chain.HandleStored(m); v.Reason != dht.Stopped || n.dedup.Handled(m.Hash) == 0 || n.dedup.Hold(m.Hash) {
			t.Errorf("%s: got %v, handled %d times, want it stopped and closed", name, v.Reason, n.dedup.Handled(m.Hash))
		}
	}
	var n *node // another shard gives the message to its handler while a layer of this one has it
	n = newNode(t, func(o *dht.InboundOptions) {
		o.Layers = map[dht.Position][]dht.Layer{dht.BeforeDeliver: {func(dht.Handler) dht.Handler {
			return func(m *dht.Incoming) dht.Verdict {
				n.dedup.Hold(m.Hash)
				return dht.Verdict{Reason: dht.Stopped}
			}
		}}}
	})
	m := n.storedFor(forAnybody(t))
	n.chain.HandleStored(m)
	n.dedup.Release(m.Hash, identity.NodeID{}, n.now, false)
	if !n.dedup.Hold(m.Hash) {
		t.Error("got a message that its handler has not finished closed by another copy")
	}
}
