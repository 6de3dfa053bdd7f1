package product

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os/exec"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/gamelan-p2p/gamelan/bench/harness"
	"github.com/gamelan-p2p/gamelan/internal/transport/transporttest"
	"github.com/gamelan-p2p/gamelan/transport"
	"github.com/gamelan-p2p/gamelan/transport/socks"
)

// SocksChunk is how many bytes the cases of the proxy write at a time.
const SocksChunk = 64 << 10

// BareProxy is socks/bulk-64KiB: bytes in one direction through a SOCKS5 proxy on
// loopback, over a connection that was opened by hand.
func BareProxy() harness.Case {
	return harness.Case{Name: "socks/bulk-64KiB", Run: func(m *harness.Meter) error {
		return throughProxy(m, func(proxy, to netip.AddrPort) (net.Conn, error) {
			c, err := net.Dial("tcp4", proxy.String())
			if err != nil {
				return nil, err
			}
			ip := to.Addr().As4()
			request := []byte{5, 1, 0, 1, ip[0], ip[1], ip[2], ip[3], byte(to.Port() >> 8), byte(to.Port())}
			for _, turn := range []struct {
				say    []byte
				answer int // bytes
			}{{[]byte{5, 1, 0}, 2}, {request, 10}} {
				answer := make([]byte, turn.answer)
				_, err := c.Write(turn.say)
				if err == nil {
					_, err = io.ReadFull(c, answer)
				}
				if err != nil || answer[1] != 0 {
					return nil, errors.Join(fmt.Errorf("the proxy answers %x", answer), err, c.Close())
				}
			}
			return c, nil
		})
	}}
}

// Socks is gamelan/socks-bulk-64KiB: the same over a connection of transport/socks.
func Socks() harness.Case {
	return harness.Case{Name: "gamelan/socks-bulk-64KiB", Run: func(m *harness.Meter) error {
		return throughProxy(m, func(proxy, to netip.AddrPort) (net.Conn, error) {
			tr, err := socks.New(socks.Options{Proxy: transport.FromAddrPort(proxy)})
			if err != nil {
				return nil, err
			}
			return tr.Dial(context.Background(), transport.FromAddrPort(to))
		})
	}}
}

// throughProxy writes into a connection that dial opens until the case ends, and counts what
// comes out behind the proxy.
func throughProxy(m *harness.Meter, dial func(proxy, to netip.AddrPort) (net.Conn, error)) error {
	proxy, stop, err := startProxy()
	if err != nil {
		return err
	}
	defer stop()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer l.Close()
	w, err := dial(proxy, l.Addr().(*net.TCPAddr).AddrPort())
	if err != nil {
		return err
	}
	defer w.Close()
	r, err := l.Accept()
	if err != nil {
		return err
	}
	defer r.Close()
	go func() {
		buf := make([]byte, SocksChunk)
		for {
			if _, err := w.Write(buf); err != nil {
				return
			}
		}
	}()
	var received atomic.Uint64
	go func() {
		buf := make([]byte, SocksChunk)
		for {
			n, err := r.Read(buf)
			received.Add(uint64(n))
			if err != nil {
				return
			}
		}
	}()
	m.SetBytes(SocksChunk)
	return m.Flow(func() uint64 { return received.Load() / SocksChunk })
}

// startProxy starts microsocks, or where it is not installed, the proxy of the tests in this
// process.
func startProxy() (at netip.AddrPort, stop func(), err error) {
	program, err := exec.LookPath("microsocks")
	if err != nil {
		return (&transporttest.Proxy{}).Listen()
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return at, nil, err
	}
	at = l.Addr().(*net.TCPAddr).AddrPort()
	l.Close()
	cmd := exec.Command(program, "-i", "127.0.0.1", "-p", strconv.Itoa(int(at.Port())))
	if err := cmd.Start(); err != nil {
		return at, nil, err
	}
	stop = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	for range 500 {
		c, err := net.Dial("tcp4", at.String())
		if err == nil {
			return at, stop, c.Close()
		}
		time.Sleep(10 * time.Millisecond)
	}
	stop()
	return at, nil, fmt.Errorf("microsocks does not listen on %s", at)
}
