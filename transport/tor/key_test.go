package tor

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// The secret of test 1 in RFC 8032 7.1. The address and the expanded key come from its
// public key and secret by Python's hashlib.
const (
	knownSeed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
	knownID   = "25njqamcweflpvkl73j4szahhihoc4xt3ktcgjnpaingr5yhkenl5sid"
	knownText = "MHyDhk8oM8tCei7xwAoBPP3/J2jZgMCjpSDwBpBN6U+bTwr+KAt0aneGhOdUQlAgV7dHOgPwj5b1o46Sh+Afjw=="
)

func knownKey(t testing.TB) Key {
	t.Helper()
	seed, err := hex.DecodeString(knownSeed)
	if err != nil {
		t.Fatal(err)
	}
	k, err := NewKey(bytes.NewReader(seed))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestKey(t *testing.T) {
	k := knownKey(t)
	if k.ID() != knownID {
		t.Errorf("service: got %s, want %s", k.ID(), knownID)
	}
	if got, want := k.text(), "ED25519-V3:"+knownText; got != want {
		t.Errorf("key for Tor: got %s, want %s", got, want)
	}
	for _, text := range []string{fmt.Sprint(k), fmt.Sprintf("%+v", k), fmt.Sprintf("%#v", k), fmt.Sprintf("%x", k), fmt.Sprintf("%+v", Service{Key: k})} {
		if strings.Contains(text, knownText[:20]) || strings.Contains(text, "307c8386") || strings.Contains(text, "48 124 131") {
			t.Errorf("got %q, want no key in it", text)
		}
	}
	if _, err := NewKey(bytes.NewReader(make([]byte, 31))); err == nil {
		t.Error("a key of 31 random bytes: got no error")
	}
	a, err := k.ID().Multiaddr(18141)
	if err != nil || a.String() != "/onion3/"+knownID+":18141" {
		t.Errorf("address: got %s, %v", a, err)
	}
}

func TestServiceIDs(t *testing.T) {
	for _, text := range []string{knownID, knownID + ".onion", strings.ToUpper(knownID), strings.ToUpper(knownID) + ".ONION"} {
		if id, err := ParseServiceID(text); err != nil || id != knownID {
			t.Errorf("%s: got %s, %v", text, id, err)
		}
	}
	// The last five bits have the version: "d" is 3, "e" is 4.
	for _, c := range []struct{ text, want string }{
		{"", "0 characters"},
		{knownID + ".onion.", "dot"},
		{knownID + ".", "dot"},
		{knownID[1:], "55 characters"},
		{"aaimaq4ygg2iegci.onion", "version 2"},
		{"a" + knownID[1:], "checksum"},
		{knownID[:55] + "e", "version 4"},
		{"1" + knownID[1:], "base32"},
		{"www." + knownID + ".onion", "60 characters"},
		{strings.Repeat("\x00", 56), "base32"},
	} {
		_, err := ParseServiceID(c.text)
		if !errors.Is(err, ErrServiceID) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: got %v, want %q", c.text, err, c.want)
		}
	}
	if _, err := ServiceID(knownID).Multiaddr(0); !errors.Is(err, ErrServiceID) {
		t.Errorf("port 0: got %v, want it refused", err)
	}
}

// TestIdentityFile reads the file of a Tari node as spec: comms 13.4 gives its form, and our own.
//
// conforms: comms 141
func TestIdentityFile(t *testing.T) {
	tari := `{"private_key":{"Ed25519V3":"` + knownText + `"},"service_id":"` + knownID + `","onion_port":18141}`
	want := Identity{Key: knownKey(t), Port: 18141}
	ours := string(want.Append(nil))
	if lines := strings.SplitN(ours, "\n", 2); !strings.HasPrefix(lines[0], "// ") || lines[1] != tari+"\n" {
		t.Errorf("got the file %s, want a line of comment and %s", ours, tari)
	}
	for _, text := range []string{tari, ours, "// one\n//two\n\n" + tari, "\r\n// one\r\n" + strings.ReplaceAll(tari, ",", ",\n  ")} {
		if got, err := ParseIdentity([]byte(text)); err != nil || got != want {
			t.Errorf("%s: got %v, %v", text, got, err)
		}
	}
	other := Identity{Port: 1}
	other.Key, _ = NewKey(strings.NewReader(strings.Repeat("x", 32)))
	for _, c := range []struct {
		name, text string
		err        error
	}{
		{"empty", "", ErrIdentity},
		{"comment alone", "// nothing", ErrIdentity},
		{"no JSON", "ED25519-V3:" + knownText, ErrIdentity},
		{"two", tari + tari, ErrIdentity},
		{"unknown field", strings.Replace(tari, `"onion_port"`, `"x":1,"onion_port"`, 1), ErrIdentity},
		{"unknown field of the key", strings.Replace(tari, `"Ed25519V3"`, `"Ed448"`, 1), ErrIdentity},
		{"version 2", `{"private_key":{"Rsa1024":"MIIC"},"service_id":"aaimaq4ygg2iegci","onion_port":18141}`, ErrIdentityV2},
		{"no port", strings.Replace(tari, "18141", "0", 1), ErrIdentity},
		{"port too large", strings.Replace(tari, "18141", "65536", 1), ErrIdentity},
		{"with .onion", strings.Replace(tari, knownID, knownID+".onion", 1), ErrIdentity},
		{"wrong checksum", strings.Replace(tari, knownID, "a"+knownID[1:], 1), ErrServiceID},
		{"another service", strings.Replace(tari, knownID, string(other.Key.ID()), 1), ErrKey},
		{"key not base64", strings.Replace(tari, knownText, "!"+knownText[1:], 1), ErrIdentity},
		{"short key", strings.Replace(tari, knownText, knownText[:84], 1), ErrKey},
		{"a seed for a key", strings.Replace(tari, knownText, "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2DXWpgBgrEKt9VL/tPJZAc6DuFy89qmIyWvAhpo9wdRGg==", 1), ErrKey},
	} {
		_, err := ParseIdentity([]byte(c.text))
		if !errors.Is(err, c.err) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.err)
		}
		if err != nil && strings.Contains(err.Error(), knownText[:20]) {
			t.Errorf("%s: got %q, want no key in it", c.name, err)
		}
	}
}
