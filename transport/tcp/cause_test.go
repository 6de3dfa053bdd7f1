package tcp

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/transport"
)

func TestErrorsSayThingsOnce(t *testing.T) {
	tcp := New(Options{})
	l, err := tcp.Listen(t.Context(), ma.StringCast("/ip4/127.0.0.1/tcp/0"))
	if err != nil {
		t.Fatal(err)
	}
	at := l.Multiaddr()
	_, inUse := tcp.Listen(t.Context(), at)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	_, refused := tcp.Dial(t.Context(), at)
	for want, err := range map[error]error{transport.ErrAddressInUse: inUse, transport.ErrRefused: refused} {
		_, system := errors.AsType[*os.SyscallError](err)
		errno, _ := errors.AsType[syscall.Errno](err)
		if !errors.Is(err, want) || !system || errno == 0 {
			t.Errorf("got %#v, want one that wraps %q and the system's error", err, want)
		}
		if got := strings.Count(err.Error(), want.Error()); got != 1 {
			t.Errorf("got %q, want %q in it once", err, want)
		}
		if strings.Contains(err.Error(), "tcp4") {
			t.Errorf("got %q, want the address only as a multiaddr", err)
		}
	}
}
