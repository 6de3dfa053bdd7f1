package noise

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan/protocol"
)

func netSecret(b byte) *protocol.NetworkSecret {
	raw := bytes.Repeat([]byte{b}, protocol.SecretSize)
	raw[0]++
	s, err := protocol.NewNetworkSecret(bytes.NewReader(raw))
	if err != nil {
		panic(err)
	}
	return s
}

// TestKnownAnswerOfAPrivateNetwork replays a handshake that another implementation has computed, in both
// roles. The listener tries another secret first, so its second state is as fresh as the first.
//
// conforms: V 43
func TestKnownAnswerOfAPrivateNetwork(t *testing.T) {
	var v struct {
		kat
		Inputs struct {
			Prologue           string
			InitiatorStatic    string `json:"initiator_static"`
			ResponderStatic    string `json:"responder_static"`
			InitiatorEphemeral string `json:"initiator_ephemeral"`
			ResponderEphemeral string `json:"responder_ephemeral"`
			PSK                string `json:"psk"`
		}
	}
	load(t, "noise-psk-kat.json", &v)
	hs, tr := make([][]byte, 3), make([][]byte, 3)
	for i := range 3 {
		hs[i], tr[i] = unhex(t, v.Bytes.Handshake[i]), unhex(t, v.Bytes.Transport[i])
	}
	for i, want := range []int{48, 96, 64} {
		if got := len(hs[i]) - headerLen; got != want {
			t.Errorf("message %d: got %d bytes, want %d", i+1, got, want)
		}
	}
	psk, err := protocol.NewNetworkSecret(bytes.NewReader(unhex(t, v.Inputs.PSK)))
	if err != nil {
		t.Fatal(err)
	}
	t.Run("dialer", func(t *testing.T) {
		s := &scripted{in: bytes.NewReader(bytes.Join([][]byte{hs[1], tr[2]}, nil))}
		c, err := Client(s, Config{
			Pattern: protocol.XXpsk0, Secrets: []*protocol.NetworkSecret{psk, netSecret(1)}, Prologue: v.Inputs.Prologue,
			Static: secret(t, v.Inputs.InitiatorStatic), Random: ephemeral(t, v.Inputs.InitiatorEphemeral),
		})
		if err != nil {
			t.Fatal(err)
		}
		exchange(t, c, "hello", "world", "hi")
		wantBytes(t, "what was written", bytes.Join(s.writes, []byte("|")), bytes.Join([][]byte{hs[0], hs[2], tr[0], tr[1]}, []byte("|")))
		wantBytes(t, "handshake hash", c.HandshakeHash(), unhex(t, v.Expect.Hash))
	})
	for i, secrets := range [][]*protocol.NetworkSecret{{psk}, {netSecret(1), psk}} {
		s := &scripted{in: bytes.NewReader(bytes.Join([][]byte{hs[0], hs[2], tr[0], tr[1]}, nil))}
		c, err := Server(s, Config{
			Pattern: protocol.XXpsk0, Secrets: secrets, Prologue: v.Inputs.Prologue,
			Static: secret(t, v.Inputs.ResponderStatic), Random: ephemeral(t, v.Inputs.ResponderEphemeral),
		})
		if err != nil {
			t.Fatal(err)
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
		if c.Secret() != i {
			t.Errorf("got secret %d, want %d", c.Secret(), i)
		}
	}
}

// spent counts the random bytes that a listener draws.
type spent struct{ random int }

func (s *spent) Read(b []byte) (int, error) { s.random += len(b); return len(b), nil }

// TestNothingIsAnsweredWithoutTheSecret has dialers that lack the secret in several ways. The listener
// writes nothing and draws no key of its own, which is what every Diffie-Hellman of its begins with.
//
// conforms: V 43
func TestNothingIsAnsweredWithoutTheSecret(t *testing.T) {
	ours := []*protocol.NetworkSecret{netSecret(1), netSecret(2)}
	first := func(secret *protocol.NetworkSecret, prologue string) []byte {
		s := &scripted{in: strings.NewReader("")}
		cfg := Config{Static: newSecret(t), Prologue: prologue}
		if secret != nil {
			cfg.Pattern, cfg.Secrets = protocol.XXpsk0, []*protocol.NetworkSecret{secret}
		}
		if _, err := Client(s, cfg); err == nil || len(s.writes) != 1 {
			t.Fatalf("got %v and %d writes, want message 1 alone", err, len(s.writes))
		}
		return s.writes[0]
	}
	good := first(netSecret(1), "")
	flipped := bytes.Clone(good)
	flipped[len(flipped)-1]++
	key := bytes.Clone(good)
	key[5]++
	for _, c := range []struct {
		name    string
		message []byte
		want    error
	}{
		{"another secret", first(netSecret(3), ""), ErrNoSecret},
		{"another prologue", first(netSecret(1), "other"), ErrNoSecret},
		{"no secret at all", first(nil, ""), ErrLength},
		{"no secret, with room for the tag", frame(append(first(nil, "")[headerLen:], make([]byte, 16)...)), ErrNoSecret},
		{"a wrong tag", flipped, ErrNoSecret},
		{"another key than that of the tag", key, ErrNoSecret},
		{"a payload", frame(append(bytes.Clone(good[headerLen:]), 1)), ErrPayload},
		{"too short", frame(good[headerLen : headerLen+20]), ErrLength},
	} {
		random := &spent{}
		s := &scripted{in: bytes.NewReader(c.message)}
		_, err := Server(s, Config{Pattern: protocol.XXpsk0, Secrets: ours, Static: newSecret(t), Random: random})
		wantHandshakeError(t, err, 1, c.want)
		if len(s.writes) != 0 || random.random != 0 {
			t.Errorf("%s: got %x written and %d random bytes drawn, want none", c.name, s.writes, random.random)
		}
	}
	s := &scripted{in: bytes.NewReader(good)}
	_, err := Server(s, Config{Pattern: protocol.XXpsk0, Secrets: ours, Static: newSecret(t)})
	wantHandshakeError(t, err, 3, io.EOF)
	if len(s.writes) != 1 || len(s.writes[0]) != headerLen+96 {
		t.Errorf("with the secret: got %x, want message 2", s.writes)
	}
}

// TestSecretsOfBothEnds has each pair of dialer and listener that a change of the secret makes.
//
// conforms: V 43
func TestSecretsOfBothEnds(t *testing.T) {
	a, b := netSecret(1), netSecret(2)
	states := map[string][]*protocol.NetworkSecret{"a": {a}, "a, accepts b": {a, b}, "b, accepts a": {b, a}, "b": {b}}
	connects := map[string][]string{ // listeners, by dialer
		"a": {"a", "a, accepts b", "b, accepts a"}, "a, accepts b": {"a", "a, accepts b", "b, accepts a"},
		"b, accepts a": {"b", "b, accepts a", "a, accepts b"}, "b": {"b", "b, accepts a", "a, accepts b"},
	}
	for dialer, theirs := range states {
		for listener, ours := range states {
			synctest.Test(t, func(t *testing.T) {
				x, y := net.Pipe()
				cfg := func(s []*protocol.NetworkSecret) Config {
					return Config{Pattern: protocol.XXpsk0, Secrets: s, Static: newSecret(t)}
				}
				c, s := shake(x, y, cfg(theirs), cfg(ours))
				want := false
				for _, l := range connects[dialer] {
					want = want || l == listener
				}
				if got := c.err == nil && s.err == nil; got != want {
					t.Errorf("%s dials %s: got %v and %v, want a connection %v", dialer, listener, c.err, s.err, want)
				}
				if !want {
					wantHandshakeError(t, s.err, 1, ErrNoSecret)
				}
			})
		}
	}
}

// TestBadSecrets: flynn/noise takes an empty secret for none, and would speak plain XX.
//
// conforms: V 43
func TestBadSecrets(t *testing.T) {
	zero, err := protocol.NewNetworkSecret(bytes.NewReader(make([]byte, protocol.SecretSize)))
	if err != nil {
		t.Fatal(err)
	}
	for name, secrets := range map[string][]*protocol.NetworkSecret{
		"none": nil, "nil": {nil}, "empty": {{}}, "zero": {zero}, "a bad second one": {netSecret(1), {}},
	} {
		for role, f := range map[string]func(net.Conn, Config) (*Conn, error){"dialer": Client, "listener": Server} {
			s := &scripted{in: strings.NewReader("")}
			if _, err := f(s, Config{Pattern: protocol.XXpsk0, Secrets: secrets, Static: newSecret(t)}); err == nil || errors.As(err, new(*HandshakeError)) || len(s.writes) > 0 {
				t.Errorf("%s, %s: got %v and %x, want it refused before anything is written", role, name, err, s.writes)
			}
		}
	}
	s := &scripted{in: strings.NewReader("")}
	if _, err := Client(s, Config{Static: newSecret(t), Secrets: []*protocol.NetworkSecret{netSecret(1)}}); err == nil || len(s.writes) > 0 {
		t.Errorf("plain XX with a secret: got %v and %x, want it refused", err, s.writes)
	}
}

// TestPrivateAndPlainDoNotMix: neither end takes the other's first message.
func TestPrivateAndPlainDoNotMix(t *testing.T) {
	private := func() Config {
		return Config{Pattern: protocol.XXpsk0, Secrets: []*protocol.NetworkSecret{netSecret(1)}, Static: newSecret(t), MessageTimeout: time.Second}
	}
	for _, c := range []struct {
		dialer, listener func() Config
		want             error
	}{
		{private, func() Config { return Config{Static: newSecret(t)} }, ErrPayload},
		{func() Config { return Config{Static: newSecret(t)} }, private, ErrLength},
		{func() Config { return Config{Pattern: protocol.IX, Static: newSecret(t)} }, private, ErrPayload},
	} {
		x, y := sockets(t)
		client, server := shake(x, y, c.dialer(), c.listener())
		wantHandshakeError(t, server.err, 1, c.want)
		if client.err == nil {
			t.Error("dialer: got no error, want one")
		}
	}
}

// FuzzPrivateHandshake feeds a listener of a private network anything: who has not the secret is not answered.
func FuzzPrivateHandshake(f *testing.F) {
	f.Add([]byte{})
	f.Add(append([]byte{0, 48}, make([]byte, 48)...))
	f.Add(append([]byte{0, 0, 0, 48}, bytes.Repeat([]byte{7}, 200)...))
	static := secret(f, fuzzStatic)
	f.Fuzz(func(t *testing.T, data []byte) {
		s := &scripted{in: bytes.NewReader(data)}
		_, err := Server(s, Config{Pattern: protocol.XXpsk0, Secrets: []*protocol.NetworkSecret{netSecret(1), netSecret(2)}, Static: static})
		if err == nil || len(s.writes) > 0 {
			t.Fatalf("got %v and %x, want an error and nothing written", err, s.writes)
		}
	})
}
