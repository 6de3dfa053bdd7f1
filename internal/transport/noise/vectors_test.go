package noise

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

const vectors = "../../../tests/vectors/comms/"

func load(t *testing.T, name string, v any) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(vectors, name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// scripted is a connection whose other end has already said everything. It
// keeps each Write apart.
type scripted struct {
	in     io.Reader
	writes [][]byte
	closed bool
}

func (s *scripted) Read(b []byte) (int, error) { return s.in.Read(b) }
func (s *scripted) Write(b []byte) (int, error) {
	s.writes = append(s.writes, bytes.Clone(b))
	return len(b), nil
}
func (s *scripted) Close() error                     { s.closed = true; return nil }
func (s *scripted) LocalAddr() net.Addr              { return nil }
func (s *scripted) RemoteAddr() net.Addr             { return nil }
func (s *scripted) SetDeadline(time.Time) error      { return nil }
func (s *scripted) SetReadDeadline(time.Time) error  { return nil }
func (s *scripted) SetWriteDeadline(time.Time) error { return nil }

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatalf("bad hex in test: %v", err)
	}
	return b
}

func secret(t testing.TB, s string) *identity.Secret {
	t.Helper()
	k, err := identity.ParseSecret(s)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// ephemeral is a source of randomness that gives this scalar: it is canonical,
// so reducing it with 32 zero bytes behind changes nothing.
func ephemeral(t testing.TB, s string) io.Reader {
	return bytes.NewReader(append(unhex(t, s), make([]byte, 32)...))
}

func wantBytes(t *testing.T, what string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Errorf("%s:\ngot  %x\nwant %x", what, got, want)
	}
}

type kat struct {
	Inputs struct {
		Prologue           string
		InitiatorStatic    string `json:"initiator_static"`
		ResponderStatic    string `json:"responder_static"`
		InitiatorEphemeral string `json:"initiator_ephemeral"`
		ResponderEphemeral string `json:"responder_ephemeral"`
	}
	Bytes struct {
		Handshake []string `json:"handshake_frames"`
		Transport []string `json:"transport_frames"`
	}
	Expect struct {
		Hash string `json:"handshake_hash"`
	}
}

// The keys of the handshake, from the specification; the vector has none.
const (
	katKeyIR = "534c130222c2fccfdb73e443395a72170f00f34fa6648d18fd20fdb590e4ee4f"
	katKeyRI = "a70f997e3fa5a29aec17d632ceec927ca1575d91aae2f5b7dcc8ec19ad0c0377"
)

// conforms: comms 31, 33
func TestKnownAnswer(t *testing.T) {
	var v kat
	load(t, "noise-kat.json", &v)
	hs, tr := make([][]byte, 3), make([][]byte, 3)
	for i := range 3 {
		hs[i], tr[i] = unhex(t, v.Bytes.Handshake[i]), unhex(t, v.Bytes.Transport[i])
	}
	t.Run("initiator", func(t *testing.T) {
		s := &scripted{in: bytes.NewReader(bytes.Join([][]byte{hs[1], tr[2]}, nil))}
		c, err := Client(s, Config{
			Prologue: v.Inputs.Prologue,
			Static:   secret(t, v.Inputs.InitiatorStatic),
			Random:   ephemeral(t, v.Inputs.InitiatorEphemeral),
		})
		if err != nil {
			t.Fatal(err)
		}
		if want := secret(t, v.Inputs.ResponderStatic).PublicKey(); c.RemoteKey() != want {
			t.Errorf("remote key: got %s, want %s", c.RemoteKey(), want)
		}
		exchange(t, c, "hello", "world", "hi")
		wantBytes(t, "what was written", bytes.Join(s.writes, []byte("|")), bytes.Join([][]byte{hs[0], hs[2], tr[0], tr[1]}, []byte("|")))
		wantBytes(t, "handshake hash", c.HandshakeHash(), unhex(t, v.Expect.Hash))
		wantBytes(t, "key of what we write", decrypt(t, katKeyIR, 0, tr[0]), []byte("hello"))
	})
	t.Run("responder", func(t *testing.T) {
		s := &scripted{in: bytes.NewReader(bytes.Join([][]byte{hs[0], hs[2], tr[0], tr[1]}, nil))}
		c, err := Server(s, Config{
			Prologue: v.Inputs.Prologue,
			Static:   secret(t, v.Inputs.ResponderStatic),
			Random:   ephemeral(t, v.Inputs.ResponderEphemeral),
		})
		if err != nil {
			t.Fatal(err)
		}
		if want := secret(t, v.Inputs.InitiatorStatic).PublicKey(); c.RemoteKey() != want {
			t.Errorf("remote key: got %s, want %s", c.RemoteKey(), want)
		}
		got := make([]byte, 10)
		if _, err := io.ReadFull(c, got); err != nil || string(got) != "helloworld" {
			t.Errorf("read: got %q, %v, want helloworld", got, err)
		}
		if _, err := c.Write([]byte("hi")); err != nil {
			t.Fatal(err)
		}
		wantBytes(t, "what was written", bytes.Join(s.writes, []byte("|")), bytes.Join([][]byte{hs[1], tr[2]}, []byte("|")))
		wantBytes(t, "handshake hash", c.HandshakeHash(), unhex(t, v.Expect.Hash))
		wantBytes(t, "key of what we write", decrypt(t, katKeyRI, 0, tr[2]), []byte("hi"))
	})
}

// exchange writes two texts and reads one.
func exchange(t *testing.T, c *Conn, write1, write2, read string) {
	t.Helper()
	for _, w := range []string{write1, write2} {
		if n, err := io.WriteString(c, w); n != len(w) || err != nil {
			t.Fatalf("write: got %d, %v, want %d", n, err, len(w))
		}
	}
	got := make([]byte, len(read))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != read {
		t.Fatalf("read: got %q, %v, want %q", got, err, read)
	}
}

// decrypt opens a frame with a key, without the code under test.
func decrypt(t *testing.T, key string, n byte, frame []byte) []byte {
	t.Helper()
	aead, err := chacha20poly1305.New(unhex(t, key))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := aead.Open(nil, []byte{0, 0, 0, 0, n, 0, 0, 0, 0, 0, 0, 0}, frame[headerLen:], nil)
	if err != nil {
		t.Fatalf("frame does not decrypt with the known key: %v", err)
	}
	return plain
}

type message struct {
	From string
	Hex  string
}

type session struct {
	Inputs struct {
		WireByte  string `json:"network_wire_byte"`
		Ephemeral string `json:"our_ephemeral_private"`
		Static    string `json:"our_static_private"`
		Remote    string `json:"rust_static_public"`
		Role      string `json:"our_role"`
		Prologue  string
	}
	Bytes struct {
		Received string `json:"tcp_received"`
		Sent     string `json:"tcp_sent_by_us"`
	}
	Expect struct {
		Hash          string    `json:"handshake_hash"`
		PlainOrder    []message `json:"plaintext_order"`
		PlainReceived string    `json:"plaintext_received"`
	}
}

// conforms: comms 31, 32, 33
func TestRecordedSessions(t *testing.T) {
	for _, role := range []string{"initiator", "responder"} {
		for _, release := range []string{"6.2.0", "1.7.0-pre.3", "1.0.0-rc.5"} {
			t.Run(role+" "+release, func(t *testing.T) {
				var v session
				load(t, "session-"+role+"-"+release+".json", &v)
				replay(t, v)
			})
		}
	}
}

// replay runs one recorded connection: our keys, our plaintext and the peer's
// bytes go in, our bytes and the peer's plaintext come out.
func replay(t *testing.T, v session) {
	wire := unhex(t, v.Inputs.WireByte)
	received, sent := unhex(t, v.Bytes.Received), unhex(t, v.Bytes.Sent)
	cfg := Config{
		Pattern:  protocol.XX,
		Prologue: v.Inputs.Prologue,
		Static:   secret(t, v.Inputs.Static),
		Random:   ephemeral(t, v.Inputs.Ephemeral),
	}
	shake := Client
	if v.Inputs.Role == "responder" {
		shake = Server
		received = received[len(wire):] // upgrade reads it
	} else {
		cfg.Prefix = wire
	}
	s := &scripted{in: bytes.NewReader(received)}
	c, err := shake(s, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.RemoteKey().String(); got != v.Inputs.Remote {
		t.Errorf("remote key: got %s, want %s", got, v.Inputs.Remote)
	}
	wantBytes(t, "handshake hash", c.HandshakeHash(), unhex(t, v.Expect.Hash))
	for _, m := range v.Expect.PlainOrder {
		if m.From != "go" {
			continue
		}
		if _, err := c.Write(unhex(t, m.Hex)); err != nil {
			t.Fatal(err)
		}
	}
	wantBytes(t, "what was written", bytes.Join(s.writes, nil), sent)
	got, err := io.ReadAll(c)
	if err != nil {
		t.Errorf("read: %v", err)
	}
	wantBytes(t, "what was read", got, unhex(t, v.Expect.PlainReceived))
}

// The shared points and outputs of the specification's example handshake.
//
// conforms: comms 30
func TestDH(t *testing.T) {
	const (
		si = "019388b67c5bfba732b6441f8cc5118a5547f8dea85e110da4fdd4c19936970a"
		sI = "d4b5066214a8568cb636cb8b734117f213a59336a73ce3fc012eaf858a3fda38"
		sr = "b45aa8c64b444e861f0ac299747ff233a7572204e395baceb10082d54bd8bf02"
		sR = "b646914beb88668208c18a8e73bc5ad74b834eae98ac8c2e02c85fbb58260d24"
		ei = "977c9a3ab810485e01465589d60430a03038237e55d5dbab6aecae9377f58809"
		eI = "0aa7ab6d49054a22ec170b6bbcbec116ac6f6d7e3ac0cf512f3bf0b67a3e1b5a"
		er = "38271ba60ce190bbe331297ecf3b890587136ba2622ded7dc130f8cc4194540c"
		eR = "f45aff57854769bf965b7fae84565151ab435c5c482204a4969a3aa03f2c5e65"
	)
	for _, c := range []struct{ name, private, public, want string }{
		{"static-static", si, sR, "f182c8f87f578e2f2ea03c16ce1a323bd20ab51ffbcf72573f44b534801cf0f3"},
		{"ee, initiator", ei, eR, "87027f319eae16fe8a705206ed8b668f280435624401e7c5ed9d7f15e3ac2bfc"},
		{"ee, responder", er, eI, "87027f319eae16fe8a705206ed8b668f280435624401e7c5ed9d7f15e3ac2bfc"},
		{"es, initiator", ei, sR, "b0d377d4fbd4e5064e1f29deb4ffa38697a37db17c59f37068609ddcd4019390"},
		{"es, responder", sr, eI, "b0d377d4fbd4e5064e1f29deb4ffa38697a37db17c59f37068609ddcd4019390"},
		{"se, initiator", si, eR, "90c3535ea61a0f15a050fd90eda798a2b137ccec2d51d375c75e47b030b37c5e"},
		{"se, responder", er, sI, "90c3535ea61a0f15a050fd90eda798a2b137ccec2d51d375c75e47b030b37c5e"},
	} {
		got, err := dh{}.DH(unhex(t, c.private), unhex(t, c.public))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		wantBytes(t, c.name, got, unhex(t, c.want))
	}
	for name, public := range map[string]string{
		"identity element": "0000000000000000000000000000000000000000000000000000000000000000",
		"not canonical":    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"negative":         "0100000000000000000000000000000000000000000000000000000000000000",
		"not on the curve": "26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371",
		"short":            "0aa7",
	} {
		if got, err := (dh{}).DH(unhex(t, si), unhex(t, public)); !errors.Is(err, ErrBadKey) {
			t.Errorf("%s: got %x, %v, want ErrBadKey", name, got, err)
		}
	}
}
