package reach

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/protocol/frame"
	"github.com/gamelan-p2p/gamelan/internal/share"
	"github.com/gamelan-p2p/gamelan/protocol"
)

func TestWire(t *testing.T) {
	token := [TokenLen]byte{1, 2, 3}
	for _, a := range []Ask{{}, {Observe: true}, {Port: 1, Token: token}, {Port: 65535, Token: token}} {
		if got, err := ReadAsk(bytes.NewReader(AppendAsk(nil, a))); err != nil || got != a {
			t.Errorf("got %v, %v, want %v", got, err, a)
		}
	}
	for _, a := range []Answer{{}, {Code: Failed}, {Seen: netip.MustParseAddrPort("1.2.3.4:5")}, {Seen: netip.MustParseAddrPort("[2001:db8::1]:65535")}, {Clock: 1e9}, {Clock: 1e9, Other: aClaim(2)}} {
		if got, err := ReadAnswer(bytes.NewReader(AppendAnswer(nil, a))); err != nil || !reflect.DeepEqual(got, a) {
			t.Errorf("got %v, %v, want %v", got, err, a)
		}
	}
	for got, want := range map[string]string{
		string(AppendAsk(nil, Ask{Observe: true})):                                        "000000020a00",
		string(AppendAnswer(nil, Answer{Code: TooFast})):                                  "000000020807",
		string(AppendAnswer(nil, Answer{Seen: netip.MustParseAddrPort("1.2.3.4:18189")})): "0000000a" + "120401020304" + "188d8e01",
		string(AppendAnswer(nil, Answer{Clock: 1e9})):                                     "00000006" + "208094ebdc03",
	} {
		if fmt.Sprintf("%x", got) != want {
			t.Errorf("got %x, want %s", got, want)
		}
	}
}

// aClaim is a claim with so many addresses, with which somebody has connected.
func aClaim(addresses int) *Other {
	o := &Other{Age: 3 * time.Second}
	o.Claim.Features = identity.FeatureNode
	for i := range addresses {
		o.Claim.Addresses = append(o.Claim.Addresses, bytes.Repeat([]byte{byte(i)}, 100))
	}
	o.Claim.Signature = identity.Signature{Version: 1, Nonce: [32]byte{1}, S: [32]byte{2}, UpdatedAt: 1e9}
	return o
}

// TestWireRoom: what has no room in a payload that every release reads is left out.
func TestWireRoom(t *testing.T) {
	for addresses, want := range map[int]bool{9: true, 10: false} {
		frame := AppendAnswer(nil, Answer{Clock: 1e9, Other: aClaim(addresses)})
		if got, err := ReadAnswer(bytes.NewReader(frame)); err != nil || got.Clock != 1e9 || (got.Other != nil) != want {
			t.Errorf("%d addresses: got %+v, %v, want a claim: %v", addresses, got, err, want)
		}
	}
}

func TestWireRefuses(t *testing.T) {
	for _, body := range []string{"\xff", "\x0a\x05", "\x12\x02\x08\x00", "\x12\x04\x08\x80\x80\x04", "\x12\x02\x08\x01", "\x12\x04\x12\x02ab"} {
		_, err := DecodeAsk([]byte(body))
		if !errors.Is(err, ErrUndecodable) || !errors.Is(err, protocol.ErrViolation) {
			t.Errorf("%x: got %v, want %v", body, err, ErrUndecodable)
		}
	}
	for _, body := range []string{"\xff", "\x12\x03abc", "\x18\x80\x80\x04", "\x2a\x03\x2a\x01a", "\x2a\x03\x32\x01a", "\x2a\x01\xff", "\x2a\x22" + strings.Repeat("\x1a\x00", 17)} {
		if _, err := DecodeAnswer([]byte(body)); !errors.Is(err, ErrUndecodable) {
			t.Errorf("%x: got %v, want %v", body, err, ErrUndecodable)
		}
	}
	if _, err := ReadAsk(bytes.NewReader(frame.Append(nil, make([]byte, MaxBody+1)))); !errors.Is(err, ErrUndecodable) {
		t.Errorf("a long one: got %v, want %v", err, ErrUndecodable)
	}
	if a, err := DecodeAsk([]byte("\x1a\x02ab")); err != nil || a != (Ask{}) {
		t.Errorf("an unknown kind: got %v, %v, want none", a, err)
	}
}

func FuzzReachAsk(f *testing.F) {
	f.Add(AppendAsk(nil, Ask{Port: 7, Token: [TokenLen]byte{1}})[frame.HeaderLen:])
	f.Fuzz(func(t *testing.T, body []byte) {
		a, err := DecodeAsk(body)
		if err != nil {
			return
		}
		if again, err := ReadAsk(bytes.NewReader(AppendAsk(nil, a))); a.Port != 0 && (err != nil || again != a) {
			t.Errorf("got %v, %v, want %v", again, err, a)
		}
	})
}

func FuzzReachAnswer(f *testing.F) {
	f.Add(AppendAnswer(nil, Answer{Clock: 1e9, Other: aClaim(1)})[frame.HeaderLen:])
	f.Add(AppendAnswer(nil, Answer{Seen: netip.MustParseAddrPort("1.2.3.4:18189")})[frame.HeaderLen:])
	f.Fuzz(func(t *testing.T, body []byte) {
		a, err := DecodeAnswer(body)
		if err != nil {
			return
		}
		again, err := ReadAnswer(bytes.NewReader(AppendAnswer(nil, a)))
		if a.Other != nil && again.Other == nil { // there was no room
			a.Other = nil
		}
		if err != nil || !reflect.DeepEqual(again, a) {
			t.Errorf("got %v, %v, want %v", again, err, a)
		}
	})
}

// TestBacks: dial-backs for others have limits, by source and in all.
func TestBacks(t *testing.T) {
	var b Backs
	now := time.Unix(1e9, 0)
	source := func(i int) share.Source { return share.Of(netip.AddrFrom4([4]byte{9, byte(i >> 8), byte(i), 1})) }
	begin := func(i int, want Code) {
		t.Helper()
		if got := b.Begin(now, source(i)); got != want {
			t.Errorf("source %d: got %v, want %v", i, got, want)
		}
	}
	for i := range backsAtOnce {
		begin(i, OK)
	}
	begin(0, TooFast)
	begin(99, TooMany)
	begin(99, TooFast) // who asks all the time does not have the next place
	for range backsAtOnce {
		b.End()
	}
	for i := backsAtOnce; i < backsIn; i++ {
		begin(i, OK)
		b.End()
	}
	begin(200, TooMany)
	now = now.Add(time.Minute)
	begin(0, OK)
	begin(0, TooFast)
	b.End()
	now = now.Add(BackPause)
	begin(0, OK)
}
