package dht_test

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
)

func signedBy(t testing.TB, s *identity.Secret, n uint64) wire.Envelope {
	t.Helper()
	part := binary.LittleEndian.AppendUint64(nil, n)
	e, err := wire.Compose(wire.Draft{Body: wire.AppendBody(nil, part, part), Sign: true}, s, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestProofsChangeNoVerdict: messages that are verified together end as they do
// one by one, whatever is among them.
func TestProofsChangeNoVerdict(t *testing.T) {
	author, second := repeated(t, writer), repeated(t, other)
	valid := func(n uint64) []byte { e := signedBy(t, author, n); return e.Append(nil) }
	draft := func(d wire.Draft) []byte {
		e, err := wire.Compose(d, second, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return e.Append(nil)
	}
	forged := signedBy(t, author, 100)
	forged.Body[len(forged.Body)-1] ^= 1
	renamed := signedBy(t, second, 101)
	key := author.PublicKey()
	copy(renamed.Header.Signature[2:], key[:])
	truncated := signedBy(t, author, 102)
	truncated.Header.Signature = truncated.Header.Signature[:50]
	large := signedBy(t, author, 103) // a scalar that is not canonical
	copy(large.Header.Signature[70:], bytes.Repeat([]byte{0xff}, 32))
	old := draft(wire.Draft{Body: ping(t), Sign: true, Expires: expires - 100})
	tampered := signedBy(t, author, 104)
	tampered.Header.Type = wire.TypeStoredMessages
	kinds := map[string][]byte{
		"forged": forged.Append(nil), "renamed": renamed.Append(nil), "truncated": truncated.Append(nil), "large": large.Append(nil),
		"old": old, "unsigned": draft(forAnybody(t)), "for us": draft(sealedFor(t, us)), "for another": draft(sealedFor(t, writer)),
		"no envelope": {1, 2, 3}, "empty": {}, "tampered": tampered.Append(nil), "twice": valid(1),
	}
	var names []string
	for name := range kinds {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range append(names, "nothing") {
		for place := range 3 {
			bodies := [][]byte{valid(1), valid(2), valid(3)}
			if name == "twice" {
				bodies[place] = bodies[(place+1)%3]
			} else if b, ok := kinds[name]; ok {
				bodies = slices.Insert(bodies, place, b)
			}
			alone, together := newNode(t, nil), newNode(t, nil)
			source := repeated(t, relay).PublicKey()
			proofs := together.chain.Prove(together.now, source.NodeID(), rand.Reader, bodies)
			if name == "nothing" && dht.Proven(proofs) != 3 {
				t.Fatalf("got %d of 3 proven", dht.Proven(proofs))
			}
			for i, b := range bodies {
				m, v := alone.bytes(b)
				m2, v2 := together.chain.Handle(together.now, together.now, dht.Frame{Source: source.NodeID(), Key: source, Body: b, Proof: proofs[i]})
				what := fmt.Sprintf("%s at %d, message %d", name, place, i)
				if v.Reason != v2.Reason || (v.Violation == nil) != (v2.Violation == nil) || m.Origin != m2.Origin || m.Hash != m2.Hash || m.Copies != m2.Copies {
					t.Errorf("%s: got %v of %v, %d copies; alone %v of %v, %d copies", what, v2.Reason, m2.Origin, m2.Copies, v.Reason, m.Origin, m.Copies)
				}
			}
		}
	}
}

// TestNothingIsProven: Prove proves nothing if a layer may change the messages, if the
// peer is unknown, without randomness, and for one message alone; and at most
// MaxProofs.
func TestNothingIsProven(t *testing.T) {
	source := repeated(t, relay).PublicKey().NodeID()
	var bodies [][]byte
	for i := range dht.MaxProofs + 2 {
		e := signedBy(t, repeated(t, writer), uint64(i))
		bodies = append(bodies, e.Append(nil))
	}
	for _, c := range []struct {
		name   string
		node   *node
		random io.Reader
		bodies [][]byte
		want   int
	}{
		{"a layer", newNode(t, func(o *dht.InboundOptions) {
			o.Layers = map[dht.Position][]dht.Layer{dht.BeforeVerify: {func(next dht.Handler) dht.Handler { return next }}}
		}), rand.Reader, bodies, 0},
		{"unknown", newNode(t, func(o *dht.InboundOptions) { o.Known = func(identity.NodeID) bool { return false } }), rand.Reader, bodies, 0},
		{"no randomness", newNode(t, nil), failing{}, bodies, 0},
		{"one", newNode(t, nil), rand.Reader, bodies[:1], 0},
		{"none", newNode(t, nil), rand.Reader, nil, 0},
		{"two", newNode(t, nil), rand.Reader, bodies[:2], 2},
		{"too many", newNode(t, nil), rand.Reader, bodies, dht.MaxProofs},
	} {
		if got := dht.Proven(c.node.chain.Prove(c.node.now, source, c.random, c.bodies)); got != c.want {
			t.Errorf("%s: got %d proven, want %d", c.name, got, c.want)
		}
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("no randomness") }
