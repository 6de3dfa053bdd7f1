package dht_test

import (
	"testing"
)

// FuzzInbound: the chain returns a verdict for every input.
func FuzzInbound(f *testing.F) {
	for _, v := range recordings(f, "") {
		for key := range v.Bytes {
			if b := v.bytes(f, key); b != nil {
				f.Add(b)
			}
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n := newNode(t, nil)
		for range 2 {
			if _, v := n.bytes(b); v.Reason == 0 {
				t.Fatalf("got no verdict: %+v", v)
			}
		}
	})
}
