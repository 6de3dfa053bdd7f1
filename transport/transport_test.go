package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"

	ma "github.com/multiformats/go-multiaddr"
)

func TestFromNetAddr(t *testing.T) {
	for _, c := range []struct {
		addr net.Addr
		want string
	}{
		{&net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 80}, "/ip4/192.0.2.1/tcp/80"},
		{&net.TCPAddr{IP: net.ParseIP("2001:db8::1"), Port: 65535}, "/ip6/2001:db8::1/tcp/65535"},
		{&net.TCPAddr{IP: net.ParseIP("::ffff:192.0.2.1"), Port: 1}, "/ip4/192.0.2.1/tcp/1"},
		{&net.TCPAddr{IP: net.ParseIP("fe80::1"), Zone: "eth0", Port: 1}, "/ip6/fe80::1/tcp/1"},
		{&net.TCPAddr{Port: 7}, "/ip6/::/tcp/7"},
	} {
		if got, ok := FromNetAddr(c.addr); !ok || got.String() != c.want {
			t.Errorf("%v: got %s, %v, want %s", c.addr, got, ok, c.want)
		}
	}
	if got, ok := FromNetAddr(&net.UDPAddr{}); ok {
		t.Errorf("UDP: got %s, want none", got)
	}
}

func TestSource(t *testing.T) {
	for a, want := range map[string]string{
		"/ip4/192.0.2.1/tcp/80":         "192.0.2.1/32",
		"/ip4/192.0.2.2/tcp/81":         "192.0.2.2/32",
		"/ip6/2001:db8:1:2:3::1/tcp/80": "2001:db8:1:2::/64",
		"/ip6/2001:db8:1:2:4::1/tcp/80": "2001:db8:1:2::/64",
		"/ip6/::ffff:192.0.2.1/tcp/1":   "192.0.2.1/32",
		"/ip4/127.0.0.1/tcp/80":         "",
		"/ip6/::1/tcp/80":               "",
		"/memory/0":                     "",
		"/dns4/example.com/tcp/80":      "",
	} {
		got, ok := Source(ma.StringCast(a))
		if ok != (want != "") || ok && got.String() != want {
			t.Errorf("%s: got %v, %v, want %q", a, got, ok, want)
		}
	}
	if _, ok := Source(nil); ok {
		t.Error("no address: got a source, want none")
	}
}

func TestExpand(t *testing.T) {
	fixed := ma.StringCast("/ip4/192.0.2.1/tcp/80")
	if got, err := Expand(fixed); err != nil || len(got) != 1 || !got[0].Equal(fixed) {
		t.Errorf("%s: got %v, %v, want itself", fixed, got, err)
	}
	memory := ma.StringCast("/memory/3")
	if got, err := Expand(memory); err != nil || len(got) != 1 || !got[0].Equal(memory) {
		t.Errorf("%s: got %v, %v, want itself", memory, got, err)
	}
	got, err := Expand(ma.StringCast("/ip4/0.0.0.0/tcp/18189"))
	if err != nil || len(got) == 0 {
		t.Fatalf("got %v, %v, want the addresses of this machine", got, err)
	}
	loopback := false
	for _, a := range got {
		ip, ok := IP(a)
		if !ok || !ip.Is4() || ip.IsUnspecified() || !strings.HasSuffix(a.String(), "/tcp/18189") {
			t.Errorf("got %s, want an IPv4 address with port 18189", a)
		}
		loopback = loopback || ip == netip.MustParseAddr("127.0.0.1")
	}
	if !loopback {
		t.Errorf("got %v, want 127.0.0.1 among them", got)
	}
	got, err = Expand(ma.StringCast("/ip6/::/tcp/18189")) // none on a machine without IPv6
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range got {
		if ip, ok := IP(a); !ok || !ip.Is6() {
			t.Errorf("got %s, want IPv6 addresses: the socket takes no IPv4", a)
		}
	}
}

func TestDialErrorClasses(t *testing.T) {
	addr := ma.StringCast("/ip4/192.0.2.1/tcp/1")
	for _, c := range []struct {
		err         *DialError
		unreachable bool
		timeout     bool
		hint        string
	}{
		{&DialError{addr, StageConnect, ErrRefused}, true, false, "check that the peer is running"},
		{&DialError{addr, StageConnect, fmt.Errorf("%w: %w", ErrTimeout, context.DeadlineExceeded)}, true, true, "firewall"},
		{&DialError{addr, StageConnect, ErrNoLocalPort}, true, false, "close connections of this machine"},
		{&DialError{addr, StageConnect, errors.New("no route")}, true, false, "network"},
		{&DialError{addr, StageResolve, ErrResolve}, true, false, "check the name"},
		{&DialError{addr, StageConnect, context.Canceled}, false, false, ""},
		{&DialError{addr, StageAddress, ErrUnsupported}, false, false, "of a kind"},
	} {
		if got := errors.Is(c.err, ErrUnreachable); got != c.unreachable {
			t.Errorf("%v: got unreachable %v, want %v", c.err, got, c.unreachable)
		}
		if got := c.err.Timeout(); got != c.timeout {
			t.Errorf("%v: got timeout %v, want %v", c.err, got, c.timeout)
		}
		if !errors.Is(c.err, c.err.Err) {
			t.Errorf("%v: does not match its cause", c.err)
		}
		if s := c.err.Error(); !strings.Contains(s, c.hint) || !strings.Contains(s, addr.String()) || (c.hint == "") == strings.Contains(s, ";") {
			t.Errorf("got %q, want the address and %q", s, c.hint)
		}
	}
}

func TestErrorKinds(t *testing.T) {
	op := func(err error) error { return &net.OpError{Op: "read", Net: "tcp", Err: err} }
	for _, c := range []struct {
		err                    error
		timeout, hangUp, reset bool
	}{
		{op(os.ErrDeadlineExceeded), true, false, false},
		{context.DeadlineExceeded, true, false, false},
		{io.EOF, false, true, false},
		{fmt.Errorf("x: %w", io.ErrUnexpectedEOF), false, true, false},
		{op(os.NewSyscallError("read", resetErrors[0])), false, true, true},
		{op(os.NewSyscallError("write", resetErrors[1])), false, true, true},
		{op(net.ErrClosed), false, false, false},
		{context.Canceled, false, false, false},
		{nil, false, false, false},
	} {
		if got := IsTimeout(c.err); got != c.timeout {
			t.Errorf("IsTimeout(%v): got %v, want %v", c.err, got, c.timeout)
		}
		if got := IsHangUp(c.err); got != c.hangUp {
			t.Errorf("IsHangUp(%v): got %v, want %v", c.err, got, c.hangUp)
		}
		if got := IsReset(c.err); got != c.reset {
			t.Errorf("IsReset(%v): got %v, want %v", c.err, got, c.reset)
		}
	}
	if !errors.Is(ErrClosed, net.ErrClosed) {
		t.Error("ErrClosed: does not match net.ErrClosed")
	}
}
