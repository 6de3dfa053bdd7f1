package protocol_test

import (
	"bytes"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan/protocol"
)

func testBytes(b byte) []byte {
	s := bytes.Repeat([]byte{b}, protocol.SecretSize)
	s[0]++
	return s
}

func testSecret(b byte) *protocol.NetworkSecret {
	s, err := protocol.NewNetworkSecret(bytes.NewReader(testBytes(b)))
	if err != nil {
		panic(err)
	}
	return s
}

// TestTheByteOfPrivateNetworks: no other network begins with it, in any release, and no liveness check does.
//
// conforms: V 43
func TestTheByteOfPrivateNetworks(t *testing.T) {
	wire := protocol.Private("acme", testSecret(1), nil).WireByte
	if wire != 0xB7 {
		t.Errorf("got the first byte %#x, want 0xb7", wire)
	}
	for _, n := range []protocol.Network{protocol.MainNet, protocol.StageNet, protocol.NextNet, protocol.LocalNet, protocol.Igor, protocol.Esmeralda} {
		for _, r := range []protocol.Release{protocol.Release6, protocol.Release17, protocol.ReleaseRC5} {
			if n.WireByte(r) == wire {
				t.Errorf("%v of %v has the byte %#x, too", n, r, wire)
			}
		}
	}
	if wire == protocol.LivenessByte || wire == protocol.OldLivenessByte {
		t.Errorf("got %#x, which is a liveness check", wire)
	}
	if n, _, ok := protocol.NetworkOf(wire); !ok || n != protocol.PrivateNet || n.String() != "private" {
		t.Errorf("got %v, %v, want that the byte is known", n, ok)
	}
	if _, err := protocol.ParseNetwork("private"); !errors.Is(err, protocol.ErrUnknownNetwork) {
		t.Errorf("got %v, want that nobody joins it by a name", err)
	}
}

// TestPrivateProfile: what is not whole is refused before anything is sent.
//
// conforms: V 43
func TestPrivateProfile(t *testing.T) {
	good := protocol.Private("acme", testSecret(1), testSecret(2))
	if err := good.Validate(); err != nil || !good.TestAddresses || good.NetworkName() != "acme" || len(good.Secrets()) != 2 {
		t.Errorf("got %v and %+v, want a profile with test addresses", err, good)
	}
	tari := protocol.Tari(protocol.LocalNet)
	if tari.Secrets() != nil || tari.NetworkName() != "localnet" || tari.Pattern != protocol.XX {
		t.Errorf("got %+v, want the default profile as it was", tari)
	}
	for name, change := range map[string]func(*protocol.Profile){
		"no secret":       func(p *protocol.Profile) { p.Secret = nil },
		"empty secret":    func(p *protocol.Profile) { p.Secret = new(protocol.NetworkSecret) },
		"zero secret":     func(p *protocol.Profile) { p.Secret, _ = protocol.NewNetworkSecret(bytes.NewReader(make([]byte, 32))) },
		"empty accept":    func(p *protocol.Profile) { p.Accept = new(protocol.NetworkSecret) },
		"accept = secret": func(p *protocol.Profile) { p.Accept = p.Secret },
		"no name":         func(p *protocol.Profile) { p.Private = "" },
		"a known name":    func(p *protocol.Profile) { p.Private = "mainnet" },
		"plain XX":        func(p *protocol.Profile) { p.Pattern = protocol.XX },
	} {
		p := protocol.Private("acme", testSecret(1), testSecret(2))
		change(&p)
		if err := p.Validate(); !errors.Is(err, protocol.ErrBadProfile) {
			t.Errorf("%s: got %v, want ErrBadProfile", name, err)
		}
	}
}

func TestNamesOfPrivateNetworks(t *testing.T) {
	for _, name := range []string{"a", "acme", "acme-2", strings.Repeat("a", 32)} {
		if err := protocol.CheckNetworkName(name); err != nil {
			t.Errorf("%s: got %v, want none", name, err)
		}
	}
	for _, name := range []string{"", "Acme", "2acme", "-a", "a b", "a.b", "a/b", "ä", "private", "localnet", "esme", strings.Repeat("a", 33)} {
		if err := protocol.CheckNetworkName(name); !errors.Is(err, protocol.ErrBadNetworkName) {
			t.Errorf("%s: got %v, want ErrBadNetworkName", name, err)
		}
	}
}

// holder is a struct of a program that holds a secret where fmt cannot call its methods.
type holder struct {
	private config
	list    []*protocol.NetworkSecret
	value   protocol.NetworkSecret
}

type config struct {
	Secret  *protocol.NetworkSecret
	profile protocol.Profile
}

// TestSecretsAreNotWritten: no verb of fmt, no log, no JSON and no gob has a secret, also not inside of a
// profile or of an unexported field.
func TestSecretsAreNotWritten(t *testing.T) {
	s := testSecret(0x5e)
	p := protocol.Private("acme", s, testSecret(0x5f))
	h := holder{config{s, p}, []*protocol.NetworkSecret{s}, *s}
	var b bytes.Buffer
	for _, x := range []any{s, *s, p, &p, h, &h, []any{h}, map[string]holder{"x": h}, struct{ x any }{s}, struct{ x protocol.NetworkSecret }{*s}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%c", "%U"} {
			fmt.Fprintf(&b, verb+"\n", x)
		}
		slog.New(slog.NewTextHandler(&b, nil)).Info("x", "x", x)
		slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "x", x)
		if text, err := json.Marshal(x); err == nil {
			b.Write(text)
		}
		_ = gob.NewEncoder(&b).Encode(x) // that it fails does not matter
	}
	for _, leak := range []string{"5e5e5e5e", "5E5E5E5E", "0x5e, 0x5e", "0x5e 0x5e", "94 94", "94, 94", "^^^", `XV5e`, "U+005E U+005E"} {
		if strings.Contains(b.String(), leak) {
			t.Errorf("got %q in %s", leak, b.String())
		}
	}
	if got := fmt.Sprint(s, *s); got != "*** ***" {
		t.Errorf("got %s, want stars", got)
	}
}

// TestSecretsHaveTheirOwnBytes: nobody changes a secret from outside.
func TestSecretsHaveTheirOwnBytes(t *testing.T) {
	s := testSecret(0x5e)
	clear(s.Bytes())
	if !s.Equal(testSecret(0x5e)) || !bytes.Equal(s.Bytes(), testBytes(0x5e)) {
		t.Error("got another secret, want that the slice was a copy")
	}
	var none *protocol.NetworkSecret
	for _, x := range []*protocol.NetworkSecret{none, new(protocol.NetworkSecret)} {
		if x.Bytes() != nil || x.Digits() != "" || x.Equal(s) || s.Equal(x) || !x.Equal(none) {
			t.Error("got something of no secret")
		}
	}
	if d := s.Digits(); len(d) != 8 || d == testSecret(0x5f).Digits() || strings.Contains(hex.EncodeToString(s.Bytes()), d) {
		t.Errorf("got %s, want eight digits that are not those of the secret", d)
	}
}

func TestParseNetworkSecret(t *testing.T) {
	s, err := protocol.NewNetworkSecret(bytes.NewReader(testBytes(3)))
	if err != nil || !s.Equal(testSecret(3)) {
		t.Fatalf("got %v, want the bytes of the source", err)
	}
	digits := hex.EncodeToString(s.Bytes())
	if again, err := protocol.ParseNetworkSecret(digits); err != nil || !again.Equal(s) {
		t.Errorf("got %v, want the same", err)
	}
	if _, err := protocol.NewNetworkSecret(strings.NewReader("short")); err == nil {
		t.Error("a short source: got no error")
	}
	for _, text := range []string{"", "zz", digits[:62], digits + "00", strings.Repeat("0", 64)} {
		if _, err := protocol.ParseNetworkSecret(text); !errors.Is(err, protocol.ErrBadSecret) || strings.Contains(err.Error(), "0304") {
			t.Errorf("%q: got %v, want ErrBadSecret without the digits", text, err)
		}
	}
}
