package onion

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"os/exec"
	"strconv"
	"testing"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/internal/transport/tcptor"
	"github.com/gamelan-p2p/gamelan/internal/transport/transporttest"
	"github.com/gamelan-p2p/gamelan/transport"
	"github.com/gamelan-p2p/gamelan/transport/socks"
	"github.com/gamelan-p2p/gamelan/transport/tcp"
)

// proxy is a microsocks of this test.
type proxy struct {
	at  netip.AddrPort
	end func() // kills it
}

// microsocks starts one on a free port, with more arguments, and ends it with the test.
func microsocks(t *testing.T, args ...string) proxy {
	t.Helper()
	var text bytes.Buffer
	for range 10 { // somebody else may take the port that was free
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		at := l.Addr().(*net.TCPAddr).AddrPort()
		l.Close()
		text.Reset()
		cmd := exec.Command("microsocks", append([]string{"-i", "127.0.0.1", "-p", strconv.Itoa(int(at.Port()))}, args...)...)
		cmd.Stderr = &text
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() {
			cmd.Wait()
			close(ended)
		}()
		end := func() {
			cmd.Process.Kill()
			<-ended
		}
		for {
			c, err := net.Dial("tcp4", at.String())
			if err == nil {
				c.Close()
				t.Cleanup(end)
				return proxy{at, end}
			}
			select {
			case <-ended: // it could not bind the port
			case <-time.After(10 * time.Millisecond): // it has not bound it yet
				continue
			}
			break
		}
	}
	t.Fatalf("microsocks does not start: %s", text.String())
	return proxy{}
}

func newSocks(t *testing.T, p proxy, o socks.Options) *socks.Transport {
	t.Helper()
	o.Proxy = transport.FromAddrPort(p.at)
	tr, err := socks.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func TestSocksConformance(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		o    socks.Options
	}{
		{"isolated", nil, socks.Options{}},
		{"without isolation", nil, socks.Options{Isolation: socks.NoIsolation}},
		{"with a password", []string{"-u", "me", "-P", "secret"}, socks.Options{Credentials: socks.Credentials{User: "me", Password: "secret"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := microsocks(t, c.args...)
			transporttest.ConformanceThroughProxy(t, func(t *testing.T) (transport.Transport, ma.Multiaddr) {
				return newSocks(t, p, c.o), ma.StringCast("/ip4/127.0.0.1/tcp/0")
			})
		})
	}
}

// TestTCPWithTorConformance has both modes of the composition, with microsocks for Tor.
func TestTCPWithTorConformance(t *testing.T) {
	p := microsocks(t)
	loopback := ma.StringCast("/ip4/127.0.0.1/tcp/0")
	t.Run("hidden", func(t *testing.T) {
		transporttest.ConformanceThroughProxy(t, func(t *testing.T) (transport.Transport, ma.Multiaddr) {
			return tcptor.Hidden(newSocks(t, p, socks.Options{}), tcptor.Options{}), loopback
		})
	})
	t.Run("open", func(t *testing.T) {
		transporttest.Conformance(t, func(t *testing.T) (transport.Transport, ma.Multiaddr) {
			return tcptor.Open(newSocks(t, p, socks.Options{}), tcp.Options{}), loopback
		})
	})
}

// TestSocksErrors has microsocks say no in the ways that it knows.
func TestSocksErrors(t *testing.T) {
	open, closed := microsocks(t), microsocks(t, "-u", "me", "-P", "secret")
	nobody, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone, _ := transport.FromNetAddr(nobody.Addr())
	nobody.Close()
	down := microsocks(t)
	down.end()
	for _, c := range []struct {
		name  string
		tr    *socks.Transport
		addr  ma.Multiaddr
		step  socks.Step
		cause socks.Cause
		stage transport.Stage
	}{
		{"nobody listens", newSocks(t, open, socks.Options{}), gone, socks.StepRequest, socks.CauseRefused, transport.StageConnect},
		{"a name that nobody has", newSocks(t, open, socks.Options{}), ma.StringCast("/dns4/nobody.invalid/tcp/1"), socks.StepRequest, socks.CauseGeneral, transport.StageConnect},
		{"wrong password", newSocks(t, closed, socks.Options{Credentials: socks.Credentials{User: "me", Password: "x"}}), gone, socks.StepAuth, socks.CauseAuth, transport.StageProxy},
		{"no password", newSocks(t, closed, socks.Options{Isolation: socks.NoIsolation}), gone, socks.StepMethod, socks.CauseAuth, transport.StageProxy},
		{"no proxy", newSocks(t, down, socks.Options{}), gone, socks.StepProxy, socks.CauseProxyDown, transport.StageProxy},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn, err := c.tr.Dial(t.Context(), c.addr)
			if err == nil {
				conn.Close()
				t.Fatal("got a connection")
			}
			e, ok := errors.AsType[*socks.Error](err)
			if !ok || e.Step != c.step || e.Cause != c.cause {
				t.Errorf("got %#v (%v), want %s at %s", e, err, c.cause, c.step)
			}
			if de, ok := errors.AsType[*transport.DialError](err); !ok || de.Stage != c.stage {
				t.Errorf("got %#v, want stage %s", err, c.stage)
			}
		})
	}
	// RESOLVE is Tor's alone.
	_, err = newSocks(t, open, socks.Options{}).Resolve(t.Context(), "nobody.invalid")
	if e, ok := errors.AsType[*socks.Error](err); !ok || e.Step != socks.StepRequest || e.Cause != socks.CauseUnsupported {
		t.Errorf("Resolve: got %v, want a request that the proxy does not know", err)
	}
}

// TestSocksProxyDies kills the proxy of an open connection: both ends hear of it.
func TestSocksProxyDies(t *testing.T) {
	p := microsocks(t)
	tr := newSocks(t, p, socks.Options{})
	l, err := tr.Listen(t.Context(), ma.StringCast("/ip4/127.0.0.1/tcp/0"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := tr.Dial(t.Context(), l.Multiaddr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	other, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	p.end()
	for name, c := range map[string]transport.Conn{"dialled": conn, "accepted": other} {
		c.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := c.Read(make([]byte, 1)); !transport.IsHangUp(err) {
			t.Errorf("read of the %s end: got %v, want the end of the connection", name, err)
		}
	}
	_, err = tr.Dial(t.Context(), l.Multiaddr())
	if e, ok := errors.AsType[*socks.Error](err); !ok || e.Cause != socks.CauseProxyDown {
		t.Errorf("dial through the dead proxy: got %v, want CauseProxyDown", err)
	}
}
