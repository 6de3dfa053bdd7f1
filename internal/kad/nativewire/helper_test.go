package nativewire_test

import (
	"bytes"
	"encoding/hex"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

var wall = time.Unix(1_800_000_000, 0)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// contact returns the node with secret n at the given addresses, or at one of its own.
func contact(t testing.TB, n byte, addresses ...overlay.Address) overlay.Contact {
	t.Helper()
	if addresses == nil {
		addresses = []overlay.Address{"/ip4/93.184.216.34/tcp/9000"}
	}
	claim := claimOf(t, n, addresses...)
	c, err := overlay.NativeContact(&claim)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func claimOf(t testing.TB, n byte, addresses ...overlay.Address) identity.Claim {
	t.Helper()
	var list [][]byte
	for _, a := range addresses {
		b, err := a.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, b)
	}
	secret, err := identity.SecretFromBytes(append([]byte{n}, make([]byte, 31)...))
	if err != nil {
		t.Fatal(err)
	}
	claim, err := identity.SignClaim(secret, 0, list, wall, bytes.NewReader(bytes.Repeat([]byte{n}, 64)))
	if err != nil {
		t.Fatal(err)
	}
	return claim
}

// The fields of messages that are made by hand.

func item(number protowire.Number, b []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), b)
}

func varint(number protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, number, protowire.VarintType), v)
}
