package dht_test

import (
	"bytes"
	"crypto/rand"
	"slices"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
)

// rewritten are encodings of one signature that all verify.
func rewritten(signature []byte) map[string][]byte {
	first, second, third := signature[:34], signature[34:68], signature[68:]
	number := protowire.AppendVarint(protowire.AppendTag(nil, 4, protowire.VarintType), 7)
	group := protowire.AppendTag(protowire.AppendTag(nil, 9, protowire.StartGroupType), 9, protowire.EndGroupType)
	long := slices.Concat([]byte{first[0], 32 | 0x80, 0}, first[2:], second, third) // a length that takes two bytes
	return map[string][]byte{
		"an unknown number behind": slices.Concat(signature, number),
		"an unknown group before":  slices.Concat(group, signature),
		"another order":            slices.Concat(third, first, second),
		"a field twice":            slices.Concat(first, signature),
		"a wrong field before":     slices.Concat(protowire.AppendBytes([]byte{first[0]}, make([]byte, 32)), signature),
		"a long length":            long,
	}
}

// TestReplayByReencoding: a captured message whose signature is encoded in another way
// is a copy, alone and in a batch. It is relayed unchanged.
//
// conforms: dht 46
func TestReplayByReencoding(t *testing.T) {
	for _, draft := range []wire.Draft{signed(t), sealedFor(t, us), sealedFor(t, other)} {
		e := compose(t, draft)
		for name, signature := range rewritten(e.Header.Signature) {
			n := newNode(t, nil)
			again := e
			again.Header.Signature = signature
			if m, v := n.handle(again); v.Err != nil || m.Hash != e.DedupHash() { // itself the first to come
				t.Errorf("%s, first: got %v, hash %v, want that of the message", name, v, m.Hash)
			}
			if _, v := n.handle(e); v.Reason != dht.Duplicate {
				t.Errorf("%s, then as it was written: got %v, want a duplicate", name, v)
			}
			n = newNode(t, nil)
			n.handle(e)
			body := again.Append(nil)
			if m, v := n.bytes(body); v.Reason != dht.Duplicate || m.Copies != 2 || v.Violation != nil {
				t.Errorf("%s: got %v, copy %d, want a duplicate", name, v, m.Copies)
			}
			source := repeated(t, relay).PublicKey()
			for i, p := range n.chain.Prove(n.now, source.NodeID(), rand.Reader, [][]byte{body, e.Append(nil)}) {
				_, v := n.chain.Handle(n.now, n.now, dht.Frame{Source: source.NodeID(), Key: source, Body: body, Proof: p})
				if v.Reason != dht.Duplicate {
					t.Errorf("%s, proof %d: got %v, want a duplicate", name, i, v)
				}
			}
			if got := decode(t, body); !bytes.Equal(got.Append(nil), body) || !bytes.Equal(got.Header.Signature, signature) {
				t.Errorf("%s: got another message when it is relayed, want it unchanged", name)
			}
		}
	}
}
