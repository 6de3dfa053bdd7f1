package identity_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/gamelan-p2p/gamelan/identity"
)

const (
	secretText = "019388b67c5bfba732b6441f8cc5118a5547f8dea85e110da4fdd4c19936970a"
	publicText = "d4b5066214a8568cb636cb8b734117f213a59336a73ce3fc012eaf858a3fda38"
	nodeText   = "62bb030909d58160624e52af48"
	// order is the order of the group, the smallest value no scalar has.
	order = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010"
)

func testSecret(t testing.TB) *identity.Secret {
	t.Helper()
	s, err := identity.ParseSecret(secretText)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// conforms: comms 3, 4
func TestKeysOfTheReference(t *testing.T) {
	for _, v := range keyVectors(t) {
		s, err := identity.ParseSecret(v.Secret)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.PublicKey().String(); got != v.PublicKey {
			t.Errorf("public key: got %s, want %s", got, v.PublicKey)
		}
		if got := s.NodeID().String(); got != v.NodeID {
			t.Errorf("node id: got %s, want %s", got, v.NodeID)
		}
		if got := s.Bytes(); !bytes.Equal(got, unhex(t, v.Secret)) {
			t.Errorf("secret: got %x, want %s", got, v.Secret)
		}
	}
	for file, claims := range claimVectors(t) {
		for _, v := range claims {
			k, err := identity.ParsePublicKey(v.PublicKey)
			if err != nil {
				t.Fatal(err)
			}
			if got := k.NodeID().String(); got != v.NodeID {
				t.Errorf("%s: node id: got %s, want %s", file, got, v.NodeID)
			}
			s, err := identity.ParseSecret(v.Secret)
			if err != nil {
				t.Fatal(err)
			}
			if s.PublicKey() != k {
				t.Errorf("%s: public key: got %v, want %v", file, s.PublicKey(), k)
			}
		}
	}
}

// conforms: comms 1
func TestSecretsThatAreRefused(t *testing.T) {
	above := "ee" + order[2:]
	for name, text := range map[string]string{
		"the order itself": order,
		"the order plus 1": above,
		"all ones":         strings.Repeat("f", 64),
		"zero":             strings.Repeat("0", 64),
		"31 bytes":         secretText[2:],
		"33 bytes":         secretText + "00",
		"empty":            "",
		"not hexadecimal":  "g" + secretText[1:],
	} {
		_, err := identity.ParseSecret(text)
		if !errors.Is(err, identity.ErrBadKey) {
			t.Errorf("%s: got %v, want ErrBadKey", name, err)
		}
		if err != nil && text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("%s: the error repeats the secret: %v", name, err)
		}
	}
	if _, err := identity.ParseSecret("ec" + order[2:]); err != nil {
		t.Errorf("the order minus 1: got %v, want none", err)
	}
	for _, n := range []int{0, 31, 33, 64} {
		b := make([]byte, n)
		if n > 0 {
			b[0] = 1
		}
		if _, err := identity.SecretFromBytes(b); !errors.Is(err, identity.ErrBadKey) {
			t.Errorf("%d bytes: got %v, want ErrBadKey", n, err)
		}
	}
}

// conforms: comms 2
func TestPublicKeysThatAreRefused(t *testing.T) {
	for name, text := range map[string]string{
		"the identity element":      strings.Repeat("0", 64),
		"a negative field element":  "01" + strings.Repeat("0", 62),
		"a non-canonical encoding":  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"no square":                 "26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371",
		"the top bit of a good key": publicText[:62] + "b8",
		"62 digits":                 publicText[2:],
		"66 digits":                 publicText + "00",
		"not hexadecimal":           "x" + publicText[1:],
		"empty":                     "",
	} {
		if k, err := identity.ParsePublicKey(text); !errors.Is(err, identity.ErrBadKey) || !k.IsZero() {
			t.Errorf("parse %s: got %v, %v, want ErrBadKey", name, k, err)
		}
		var k identity.PublicKey
		if err := k.UnmarshalText([]byte(text)); text != "" && !errors.Is(err, identity.ErrBadKey) {
			t.Errorf("unmarshal %s: got %v, want ErrBadKey", name, err)
		}
		b := []byte(text)
		if len(text) == 64 && text[0] != 'x' {
			b = unhex(t, text)
		}
		if _, err := identity.PublicKeyFromBytes(b); !errors.Is(err, identity.ErrBadKey) {
			t.Errorf("bytes of %s: got %v, want ErrBadKey", name, err)
		}
	}
}

// TestErrorsSayHowLongATextMustBe reads texts that were cut off, and texts with
// a wrong digit: each error names the length to compare with.
func TestErrorsSayHowLongATextMustBe(t *testing.T) {
	for name, c := range map[string]struct {
		parse func(string) error
		text  string
		want  string
	}{
		"node id":    {func(s string) error { _, err := identity.ParseNodeID(s); return err }, nodeText, "26 hexadecimal digits"},
		"public key": {func(s string) error { _, err := identity.ParsePublicKey(s); return err }, publicText, "64 hexadecimal digits"},
		"secret key": {func(s string) error { _, err := identity.ParseSecret(s); return err }, secretText, "64 hexadecimal digits"},
	} {
		for how, text := range map[string]string{"cut off": c.text[1:], "no digit": "x" + c.text[1:]} {
			if err := c.parse(text); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s, %s: got %v, want %q in it", name, how, err, c.want)
			}
		}
	}
}

func TestKeyText(t *testing.T) {
	for _, text := range []string{publicText, strings.ToUpper(publicText)} {
		k, err := identity.ParsePublicKey(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := k.String(); got != publicText {
			t.Errorf("got %s, want %s", got, publicText)
		}
		if got, want := k.Short(), publicText[:16]; got != want {
			t.Errorf("short: got %s, want %s", got, want)
		}
		if got := k.LogValue().String(); got != publicText {
			t.Errorf("logged: got %s, want %s", got, publicText)
		}
	}
	type doc struct {
		Key  identity.PublicKey
		None identity.PublicKey
		ID   identity.NodeID
		Nil  identity.NodeID
	}
	s := testSecret(t)
	want := doc{Key: s.PublicKey(), ID: s.NodeID()}
	b, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(b), fmt.Sprintf(`{"Key":%q,"None":"","ID":%q,"Nil":""}`, publicText, nodeText); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	got := doc{None: want.Key, Nil: want.ID} // must be overwritten
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

// conforms: comms 5
func TestNodeIDText(t *testing.T) {
	for _, text := range []string{nodeText, strings.ToUpper(nodeText)} {
		n, err := identity.ParseNodeID(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := n.String(); got != nodeText {
			t.Errorf("got %s, want %s", got, nodeText)
		}
		if n != testSecret(t).NodeID() {
			t.Errorf("got %v, want the id of the key", n)
		}
		if got, want := n.Short(), nodeText[:16]; got != want {
			t.Errorf("short: got %s, want %s", got, want)
		}
		if got := n.LogValue().String(); got != nodeText {
			t.Errorf("logged: got %s, want %s", got, nodeText)
		}
	}
	for _, text := range []string{"", nodeText[1:], nodeText[2:], nodeText + "0", nodeText + "00", "z" + nodeText[1:]} {
		if _, err := identity.ParseNodeID(text); !errors.Is(err, identity.ErrBadNodeID) {
			t.Errorf("parse %q: got %v, want ErrBadNodeID", text, err)
		}
		var n identity.NodeID
		if err := n.UnmarshalText([]byte(text)); text != "" && !errors.Is(err, identity.ErrBadNodeID) {
			t.Errorf("unmarshal %q: got %v, want ErrBadNodeID", text, err)
		}
	}
	for _, n := range []int{0, 12, 14, 32} {
		if _, err := identity.NodeIDFromBytes(make([]byte, n)); !errors.Is(err, identity.ErrBadNodeID) {
			t.Errorf("%d bytes: got %v, want ErrBadNodeID", n, err)
		}
	}
	n, err := identity.NodeIDFromBytes(unhex(t, nodeText))
	if err != nil || n.String() != nodeText {
		t.Errorf("got %v, %v, want %s", n, err, nodeText)
	}
}

func TestNewSecret(t *testing.T) {
	// 64 bytes below the order, and so unchanged by the reduction.
	s, err := identity.NewSecret(bytes.NewReader(append(unhex(t, secretText), make([]byte, 32)...)))
	if err != nil {
		t.Fatal(err)
	}
	if got := s.PublicKey().String(); got != publicText {
		t.Errorf("got %s, want %s", got, publicText)
	}
	// The order, as 64 bytes, is zero; one less is the greatest scalar.
	if _, err := identity.NewSecret(bytes.NewReader(append(unhex(t, order), make([]byte, 32)...))); !errors.Is(err, identity.ErrRandom) {
		t.Errorf("a source of zero: got %v, want ErrRandom", err)
	}
	for name, r := range map[string]io.Reader{
		"short":  bytes.NewReader(make([]byte, 63)),
		"broken": iotest.ErrReader(io.ErrClosedPipe),
	} {
		if _, err := identity.NewSecret(r); !errors.Is(err, identity.ErrRandom) {
			t.Errorf("%s source: got %v, want ErrRandom", name, err)
		}
	}
}

func TestSecretNeverShows(t *testing.T) {
	s := testSecret(t)
	type exported struct{ S *identity.Secret }
	type unexported struct{ s *identity.Secret }
	type value struct{ s identity.Secret }
	var shown []string
	for _, v := range []any{s, *s, exported{s}, &exported{s}, unexported{s}, value{*s}, []*identity.Secret{s}, map[string]*identity.Secret{"k": s}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%o", "%b", "%U"} {
			shown = append(shown, fmt.Sprintf(verb, v))
		}
		shown = append(shown, fmt.Sprint(v), fmt.Sprintln(v))
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("m", "k", v)
		slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "k", v)
		shown = append(shown, log.String())
		if b, err := json.Marshal(v); err == nil {
			shown = append(shown, string(b))
		}
	}
	// The key as hexadecimal, as decimal bytes, and its words.
	decimal := strings.Trim(fmt.Sprint(s.Bytes()[:6]), "[]")
	for _, text := range shown {
		low := strings.ToLower(text)
		if strings.Contains(low, secretText[:12]) || strings.Contains(text, decimal) || strings.Contains(low, "scalar") {
			t.Errorf("the secret shows: %s", text)
		}
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		for _, v := range []any{s, *s} {
			if got := fmt.Sprintf(verb, v); got != "***" {
				t.Errorf("%s: got %s, want ***", verb, got)
			}
		}
	}
	if b, err := json.Marshal(exported{s}); err != nil || string(b) != `{"S":"***"}` {
		t.Errorf("json: got %s, %v, want ***", b, err)
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("m", "k", s)
	if !strings.Contains(log.String(), "k=***") {
		t.Errorf("slog: got %s, want ***", log.String())
	}
}

// conforms: comms 30 (what is refused)
func TestDH(t *testing.T) {
	a := testSecret(t)
	b, err := identity.ParseSecret("b45aa8c64b444e861f0ac299747ff233a7572204e395baceb10082d54bd8bf02")
	if err != nil {
		t.Fatal(err)
	}
	keyA, keyB := a.PublicKey(), b.PublicKey()
	ab, errA := a.DH(keyB[:])
	ba, errB := b.DH(keyA[:])
	if errA != nil || errB != nil || ab != ba {
		t.Errorf("got %x, %v and %x, %v, want the same twice", ab, errA, ba, errB)
	}
	for name, remote := range map[string][]byte{
		"identity":      make([]byte, 32),
		"undecodable":   unhex(t, "01"+strings.Repeat("00", 31)),
		"31 bytes":      keyB[:31],
		"nothing":       nil,
		"non-canonical": unhex(t, "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
	} {
		if shared, err := a.DH(remote); !errors.Is(err, identity.ErrBadKey) || shared != [32]byte{} {
			t.Errorf("%s: got %x, %v, want ErrBadKey", name, shared, err)
		}
	}
}

// conforms: comms 8
func TestFeatures(t *testing.T) {
	for _, c := range []struct {
		f                   identity.Features
		node, client, valid bool
		text                string
	}{
		{0, false, true, true, "client"},
		{1, false, false, true, "propagation"},
		{2, false, false, true, "stored messages"},
		{3, true, false, true, "node"},
		{4, false, false, false, "unknown features 0x4"},
		{7, false, false, false, "unknown features 0x7"},
		{1 << 31, false, false, false, "unknown features 0x80000000"},
	} {
		if c.f.IsNode() != c.node || c.f.IsClient() != c.client || c.f.Valid() != c.valid {
			t.Errorf("%d: got node %v, client %v, valid %v, want %v, %v, %v", c.f, c.f.IsNode(), c.f.IsClient(), c.f.Valid(), c.node, c.client, c.valid)
		}
		if got := c.f.String(); got != c.text {
			t.Errorf("%d: got %q, want %q", uint32(c.f), got, c.text)
		}
	}
}
