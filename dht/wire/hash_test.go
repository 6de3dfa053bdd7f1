package wire_test

import (
	"bytes"
	"testing"

	"github.com/gamelan-p2p/gamelan/dht/wire"
)

// TestDedupHashTellsSignaturesApart: messages with different signatures have different
// hashes, and a malformed signature is hashed as it is.
func TestDedupHashTellsSignaturesApart(t *testing.T) {
	e := compose(t, wire.Draft{Body: ping(t), Sign: true})
	changed := bytes.Clone(e.Header.Signature)
	changed[101] ^= 1
	seen := map[wire.Hash]string{}
	for name, signature := range map[string][]byte{
		"the signature": e.Header.Signature, "another scalar": changed, "none": nil, "three bytes": {1, 2, 3},
		"cut short": e.Header.Signature[:101], "another tag": append([]byte{0x12}, e.Header.Signature[1:]...),
	} {
		h := wire.DedupHash(signature, e.Body)
		if before, ok := seen[h]; ok {
			t.Errorf("got one hash for %q and %q, want two", before, name)
		}
		seen[h] = name
	}
}
