package dht_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
)

const expires = 1_700_000_000

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// repeated returns the secret whose 32 bytes are all b.
func repeated(t testing.TB, b byte) *identity.Secret {
	t.Helper()
	s, err := identity.SecretFromBytes(bytes.Repeat([]byte{b}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// scalars is a source of randomness from which these secrets are drawn.
func scalars(secrets ...*identity.Secret) io.Reader {
	var b bytes.Buffer
	for _, s := range secrets {
		b.Write(s.Bytes())
		b.Write(make([]byte, 32))
	}
	return &b
}

func equal(t testing.TB, what string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Errorf("%s: got %s, want %s", what, short(got), short(want))
	}
}

func short(b []byte) string {
	if len(b) > 300 {
		return hex.EncodeToString(b[:300]) + "…"
	}
	return hex.EncodeToString(b)
}

func ping(t testing.TB) []byte {
	return wire.AppendBody(nil, wire.DomainHeader{Type: 1, Nonce: 1}.Append(nil), unhex(t, "102a"))
}

// compose makes a message of secret 1; the ephemeral key is 03…, the nonce 04….
func compose(t testing.TB, d wire.Draft) wire.Envelope {
	t.Helper()
	random := scalars(repeated(t, 4))
	if !d.EncryptFor.IsZero() {
		random = scalars(repeated(t, 3), repeated(t, 4))
	}
	d.Tag, d.Expires = 7, expires
	e, err := wire.Compose(d, repeated(t, 1), random)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func decode(t testing.TB, b []byte) wire.Envelope {
	t.Helper()
	e, err := wire.DecodeEnvelope(b)
	if err != nil {
		t.Fatalf("decode envelope: %v", err)
	}
	return e
}

// openFor opens an encrypted message after its signature was verified.
func openFor(t testing.TB, e wire.Envelope, s *identity.Secret) wire.Opened {
	t.Helper()
	signer, err := e.VerifyOrigin()
	if err != nil {
		t.Fatal(err)
	}
	o, err := e.Open(s, signer)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// recorded is a recorded file.
type recorded struct {
	name   string
	Inputs struct {
		Time int64 `json:"unix_time"`
	}
	Bytes map[string]any
}

// recordings returns the files whose names begin like this, at least two.
func recordings(t testing.TB, kind string) (list []recorded) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("..", "tests", "vectors", "dht", kind+"*.json"))
	if err != nil || len(names) < 2 {
		t.Fatalf("%s: got files %q, %v, want two at least", kind, names, err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		v := recorded{name: filepath.Base(name)}
		if err := json.Unmarshal(b, &v); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		list = append(list, v)
	}
	return list
}

// bytes returns what is recorded under a name, nil if that is not bytes.
func (v recorded) bytes(t testing.TB, key string) []byte {
	s, ok := v.Bytes[key].(string)
	if !ok {
		return nil
	}
	return unhex(t, s)
}

func (v recorded) now() time.Time { return time.Unix(v.Inputs.Time, 0) }

// fields returns the encoded fields of a message.
func fields(t testing.TB, b []byte) (list [][]byte) {
	t.Helper()
	for len(b) > 0 {
		_, _, n := protowire.ConsumeField(b)
		if n < 0 {
			t.Fatalf("no field in %x", b)
		}
		list, b = append(list, b[:n]), b[n:]
	}
	return list
}
