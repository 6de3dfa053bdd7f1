package socks

import (
	"bytes"
	"context"
	"errors"
	"net"
	"testing"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/transport"
)

// Whatever a proxy answers, the reader takes no byte behind the reply.
func FuzzReply(f *testing.F) {
	for _, s := range []string{
		"", "\x05", "\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50rest", "\x05\x00\x00\x03\x03abc\x00\x50rest",
		"\x05\x00\x00\x04" + "0123456789abcdef" + "\x00\x50rest", "\x05\x04\x00\x00", "\x05\xf0\x00\x00", "\x04\x00\x00\x01", "\x05\x00\x01\x01",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		a, err := readReply(r)
		read := len(b) - r.Len()
		if err != nil {
			return
		}
		want := 4
		if a.code == Succeeded {
			want += map[byte]int{typeIPv4: 4, typeIPv6: 16}[b[3]] + 2
			if b[3] == typeName {
				want += 1 + int(b[4])
			}
		}
		if read != want || b[0] != version || b[2] != 0 || a.code != Code(b[1]) {
			t.Errorf("%x: got %+v after %d bytes, want %d", b, a, read, want)
		}
		if a.code == Succeeded && a.ip.IsValid() != (b[3] != typeName) {
			t.Errorf("%x: got address %s", b, a.ip)
		}
		_ = a.code.String()
	})
}

// canned is a connection on which a proxy has already said everything.
type canned struct {
	net.Conn
	*bytes.Reader
}

func (c canned) Read(b []byte) (int, error) { return c.Reader.Read(b) }
func (canned) Write(b []byte) (int, error)  { return len(b), nil }
func (canned) Close() error                 { return nil }
func (canned) SetDeadline(time.Time) error  { return nil }
func (canned) LocalAddr() net.Addr          { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

// A dial ends in a connection or in an error that says what happened.
func FuzzDial(f *testing.F) {
	f.Add([]byte("\x05\x00\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50rest"), false)
	f.Add([]byte("\x05\x02\x01\x00\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50rest"), true)
	f.Add([]byte("\x05\x02\x01\x01"), true)
	f.Add([]byte("\x05\xff"), true)
	f.Add([]byte("\x05\x00\x05\xf6\x00\x00"), false)
	f.Add([]byte("514 Authentication required.\r\n"), false)
	to := ma.StringCast("/ip4/203.0.113.7/tcp/18189")
	f.Fuzz(func(t *testing.T, b []byte, password bool) {
		o := Options{Proxy: ma.StringCast("/ip4/127.0.0.1/tcp/9050"), Isolation: NoIsolation}
		if password {
			o.Credentials = Credentials{"me", "pw"}
		}
		tr, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		tr.proxy.Load().connect = func(context.Context, string, string) (net.Conn, error) {
			return canned{Reader: bytes.NewReader(b)}, nil
		}
		conn, err := tr.Dial(t.Context(), to)
		if err == nil {
			conn.Close()
			return
		}
		e, ok := errors.AsType[*Error](err)
		if de, wrapped := errors.AsType[*transport.DialError](err); !ok || !wrapped || de.Stage == "" || e.Step == StepAddress || e.Cause == CauseUnknown {
			t.Errorf("%x: got %#v, want a typed error with a cause", b, err)
		}
		if e.Hint() == "" || e.Error() == "" {
			t.Errorf("%x: got %#v without a hint or a text", b, e)
		}
	})
}
