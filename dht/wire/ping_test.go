package wire_test

import (
	"errors"
	"testing"

	"github.com/gamelan-p2p/gamelan/dht/wire"
)

// conforms: dht 138, 139
func TestPingBytes(t *testing.T) {
	for _, test := range []struct {
		ping wire.Ping
		want string
	}{
		{wire.Ping{Nonce: 42}, "102a"}, // known answer A0
		{wire.Ping{Pong: true, Nonce: 42}, "0801102a"},
		{wire.Ping{Pong: true}, "0801"},
		{wire.Ping{}, ""},
	} {
		equalHex(t, "ping", test.ping.Append(nil), test.want)
		got, err := wire.DecodePing(unhex(t, test.want))
		if err != nil || got != test.ping {
			t.Errorf("decode %q: got %v, %v, want %v", test.want, got, err, test.ping)
		}
	}
}

func TestPingOfOthers(t *testing.T) {
	for _, test := range []struct {
		name, bytes string
		want        wire.Ping
		err         error
	}{
		{"with what it tells besides", "0801102a1a060801120201021a0408021200", wire.Ping{Pong: true, Nonce: 42}, nil},
		{"in another order", "102a0801", wire.Ping{Pong: true, Nonce: 42}, nil},
		{"with an unknown field", "102a2205aabbccddee", wire.Ping{Nonce: 42}, nil},
		{"neither ping nor pong", "0802102a", wire.Ping{}, wire.ErrPingKind},
		{"cut off", "08", wire.Ping{}, wire.ErrPing},
		{"a nonce of bytes", "1201aa", wire.Ping{}, wire.ErrPing},
	} {
		got, err := wire.DecodePing(unhex(t, test.bytes))
		switch {
		case !errors.Is(err, test.err):
			t.Errorf("%s: got error %v, want %v", test.name, err, test.err)
		case err == nil && got != test.want:
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
	}
}
