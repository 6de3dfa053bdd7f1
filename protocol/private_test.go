package protocol_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan/protocol"
)

func testSecret(b byte) protocol.NetworkSecret {
	s := bytes.Repeat([]byte{b}, protocol.SecretSize)
	s[0]++
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
		"empty secret":    func(p *protocol.Profile) { p.Secret = protocol.NetworkSecret{} },
		"short secret":    func(p *protocol.Profile) { p.Secret = p.Secret[:31] },
		"zero secret":     func(p *protocol.Profile) { p.Secret = make([]byte, 32) },
		"empty accept":    func(p *protocol.Profile) { p.Accept = protocol.NetworkSecret{} },
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

// TestSecretsAreNotWritten: no verb of fmt, no log and no JSON has a secret, also not inside of a profile.
func TestSecretsAreNotWritten(t *testing.T) {
	s := testSecret(0x5e)
	p := protocol.Private("acme", s, testSecret(0x5f))
	var b bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		fmt.Fprintf(&b, verb, s)
		fmt.Fprintf(&b, verb, p)
		fmt.Fprintf(&b, verb, &p)
	}
	slog.New(slog.NewTextHandler(&b, nil)).Info("x", "s", s, "p", p)
	slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "s", s, "p", p)
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	b.Write(text)
	for _, leak := range []string{"5e5e", "5E5E", "94 94", "94, 94", "^^^", `XV5e`} {
		if strings.Contains(b.String(), leak) {
			t.Errorf("got %q in %s", leak, b.String())
		}
	}
}

func TestParseNetworkSecret(t *testing.T) {
	s, err := protocol.NewNetworkSecret(bytes.NewReader(testSecret(3)))
	if err != nil || !s.Equal(testSecret(3)) {
		t.Fatalf("got %v, want the bytes of the source", err)
	}
	if again, err := protocol.ParseNetworkSecret(s.Hex()); err != nil || !again.Equal(s) {
		t.Errorf("got %v, want the same", err)
	}
	if _, err := protocol.NewNetworkSecret(strings.NewReader("short")); err == nil {
		t.Error("a short source: got no error")
	}
	for _, text := range []string{"", "zz", s.Hex()[:62], s.Hex() + "00", strings.Repeat("0", 64)} {
		if _, err := protocol.ParseNetworkSecret(text); !errors.Is(err, protocol.ErrBadSecret) || strings.Contains(err.Error(), "0304") {
			t.Errorf("%q: got %v, want ErrBadSecret without the digits", text, err)
		}
	}
}
