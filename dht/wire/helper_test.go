package wire_test

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

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func secretOf(t testing.TB, hexKey string) *identity.Secret {
	t.Helper()
	s, err := identity.ParseSecret(hexKey)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// repeated returns the secret whose 32 bytes are all b.
func repeated(t testing.TB, b byte) *identity.Secret {
	t.Helper()
	return secretOf(t, hex.EncodeToString(bytes.Repeat([]byte{b}, 32)))
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

func equalHex(t testing.TB, what string, got []byte, want string) {
	t.Helper()
	equal(t, what, got, unhex(t, want))
}

// vector is a recorded file.
type vector struct {
	name                  string
	Inputs, Bytes, Expect map[string]any
}

// vectors returns the files of all releases whose names begin like this.
func vectors(t *testing.T, kind string) []vector {
	t.Helper()
	var list []vector
	for _, release := range []string{"6.2.0", "1.7.0-pre.3", "1.0.0-rc.5"} {
		name := filepath.Join("..", "..", "tests", "vectors", "dht", kind+"-"+release+".json")
		b, err := os.ReadFile(name)
		if os.IsNotExist(err) {
			continue // not every release has every feature
		}
		if err != nil {
			t.Fatal(err)
		}
		v := vector{name: filepath.Base(name)}
		if err := json.Unmarshal(b, &v); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		list = append(list, v)
	}
	if len(list) < 2 {
		t.Fatalf("%s: got %d files, want those of two releases at least", kind, len(list))
	}
	return list
}

func (v vector) input(t testing.TB, key string) string  { return text(t, v.name, v.Inputs, key) }
func (v vector) expect(t testing.TB, key string) string { return text(t, v.name, v.Expect, key) }
func (v vector) bytes(t testing.TB, key string) []byte {
	return unhex(t, text(t, v.name, v.Bytes, key))
}

func (v vector) now(t testing.TB) time.Time {
	t.Helper()
	n, ok := v.Inputs["unix_time"].(float64)
	if !ok {
		t.Fatalf("%s: no unix_time", v.name)
	}
	return time.Unix(int64(n), 0)
}

func text(t testing.TB, name string, m map[string]any, key string) string {
	t.Helper()
	s, ok := m[key].(string)
	if !ok {
		t.Fatalf("%s: no text %q", name, key)
	}
	return s
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
	if err := e.CheckSemantics(); err != nil {
		t.Fatal(err)
	}
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

// infoOf returns the item for the peer of these claims.
func infoOf(claims []identity.Claim) *wire.PeerInfo {
	p := wire.NewPeerInfo(claims[0].Key, claims...)
	return &p
}

// fieldLen returns the length of the first encoded field of b.
func fieldLen(t testing.TB, b []byte) int {
	t.Helper()
	_, _, n := protowire.ConsumeField(b)
	if n < 0 {
		t.Fatalf("no field in %x", b)
	}
	return n
}

func appendLength(b []byte) []byte { return protowire.AppendBytes(nil, b) }

// frameField returns the bytes of that field in an encoded message, nil when
// it has none.
func frameField(t testing.TB, b []byte, number protowire.Number) []byte {
	t.Helper()
	for len(b) > 0 {
		n := fieldLen(t, b)
		if got, kind, tag := protowire.ConsumeTag(b); got == number && kind == protowire.BytesType {
			v, _ := protowire.ConsumeBytes(b[tag:])
			return v
		}
		b = b[n:]
	}
	return nil
}

func timeOf(unix int64) time.Time { return time.Unix(unix, 0) }
