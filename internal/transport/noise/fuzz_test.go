package noise

import (
	"bytes"
	"testing"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

const (
	fuzzStatic    = "b45aa8c64b444e861f0ac299747ff233a7572204e395baceb10082d54bd8bf02"
	fuzzEphemeral = "38271ba60ce190bbe331297ecf3b890587136ba2622ded7dc130f8cc4194540c"
)

// FuzzNoiseServerHandshake feeds a listener arbitrary bytes: it must end, and
// only a peer that knows the keys gets through.
func FuzzNoiseServerHandshake(f *testing.F) {
	msg1 := unhex(f, "00200aa7ab6d49054a22ec170b6bbcbec116ac6f6d7e3ac0cf512f3bf0b67a3e1b5a")
	msg3 := unhex(f, "004075fa9914cc710ee1b9a0f6f8a3edf0c5a7a6a2aac099172cd16ea6a1e4a42f7877e998263facb25c3bc18c28361b912774a22d03996ac020202d8db2d990284d")
	f.Add(false, []byte{})
	f.Add(false, msg1)
	f.Add(false, append(bytes.Clone(msg1), msg3...))
	f.Add(false, append(append([]byte{0, 0}, msg1...), msg3[:30]...))
	f.Add(true, append([]byte{0, 64}, make([]byte, 64)...))
	static := secret(f, fuzzStatic)
	known, err := identity.ParsePublicKey("d4b5066214a8568cb636cb8b734117f213a59336a73ce3fc012eaf858a3fda38")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, ix bool, data []byte) {
		cfg := Config{Static: static, Random: ephemeral(t, fuzzEphemeral)}
		if ix {
			cfg.Pattern = protocol.IX
		}
		s := &scripted{in: bytes.NewReader(data)}
		c, err := Server(s, cfg)
		if err == nil && !ix && c.RemoteKey() != known {
			t.Fatalf("got a handshake with %s, whose secret nobody has", c.RemoteKey())
		}
		for _, w := range s.writes {
			if len(w) != 98 {
				t.Fatalf("got %x written, want message 2 or nothing", w)
			}
		}
	})
}

// FuzzNoiseTransport feeds the reader arbitrary frames: it must end, give out
// nothing that does not decrypt and hold no buffer afterwards.
func FuzzNoiseTransport(f *testing.F) {
	w := &scripted{in: bytes.NewReader(nil)}
	out := &Conn{Conn: w}
	out.out.init([32]byte{1})
	out.Write([]byte("hello"))
	out.Write(make([]byte, 50))
	whole := bytes.Join(w.writes, nil)
	f.Add([]byte{}, uint16(1))
	f.Add(whole, uint16(10))
	f.Add(whole, uint16(100))
	f.Add(append([]byte{0, 0}, whole[:40]...), uint16(100))
	f.Add([]byte{0, 16, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, uint16(100))
	f.Add([]byte{255, 255, 1}, uint16(100))
	plain := append([]byte("hello"), make([]byte, 50)...)
	f.Fuzz(func(t *testing.T, data []byte, size uint16) {
		c := newConn(&scripted{in: bytes.NewReader(data)})
		c.in.init([32]byte{1})
		b := make([]byte, int(size)+1)
		var got []byte
		for {
			n, err := c.Read(b)
			got = append(got, b[:n]...)
			if err != nil {
				break
			}
			if n == 0 {
				t.Fatal("got neither bytes nor an error")
			}
		}
		if !bytes.HasPrefix(plain, got) {
			t.Fatalf("got %x, which nobody encrypted", got)
		}
		if c.large != nil {
			t.Fatal("a buffer is still held")
		}
	})
}
