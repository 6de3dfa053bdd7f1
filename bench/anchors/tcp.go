package anchors

import (
	"errors"
	"io"
	"net"
	"sync/atomic"

	"github.com/gamelan-p2p/gamelan/bench/harness"
)

// loopback gives both ends of one TCP connection over 127.0.0.1.
func loopback() (dialled, accepted *net.TCPConn, err error) {
	l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, nil, err
	}
	defer l.Close()
	dialled, err = net.DialTCP("tcp4", nil, l.Addr().(*net.TCPAddr))
	if err != nil {
		return nil, nil, err
	}
	accepted, err = l.AcceptTCP()
	if err != nil {
		return nil, nil, errors.Join(err, dialled.Close())
	}
	return dialled, accepted, nil
}

// TCPRoundTrip is tcp/tcp-rtt-N: ping-pong of n bytes on one connection.
func TCPRoundTrip(n int) harness.Case {
	return harness.Case{Name: "tcp/tcp-rtt-" + size(n), Run: func(m *harness.Meter) error {
		a, b, err := loopback()
		if err != nil {
			return err
		}
		defer a.Close()
		defer b.Close()
		go func() {
			buf := make([]byte, n)
			for {
				if _, err := io.ReadFull(b, buf); err != nil {
					return
				}
				if _, err := b.Write(buf); err != nil {
					return
				}
			}
		}()
		buf := body(n)
		return m.Loop(50, func() error {
			if _, err := a.Write(buf); err != nil {
				return err
			}
			_, err := io.ReadFull(a, buf)
			return err
		})
	}}
}

// TCPOneWay is tcp/tcp-oneway-write-N: a goroutine that writes n bytes at a
// time, a reader with a buffer of 64 KiB.
func TCPOneWay(n int) harness.Case {
	return harness.Case{Name: "tcp/tcp-oneway-write-" + size(n), Run: func(m *harness.Meter) error {
		a, b, err := loopback()
		if err != nil {
			return err
		}
		defer a.Close()
		defer b.Close()
		m.SetBytes(n)
		return flowOf(m, n, a, b)
	}}
}

// flowOf writes n bytes at a time into w until the case ends, reads them from
// r, and counts writes received. The caller closes both.
func flowOf(m *harness.Meter, n int, w io.Writer, r io.Reader) error {
	go func() {
		buf := body(n)
		for {
			if _, err := w.Write(buf); err != nil {
				return
			}
		}
	}()
	var received atomic.Uint64
	go func() {
		buf := make([]byte, 64<<10)
		for {
			k, err := r.Read(buf)
			received.Add(uint64(k))
			if err != nil {
				return
			}
		}
	}()
	return m.Flow(func() uint64 { return received.Load() / uint64(n) })
}

// TCPDial is tcp/tcp-dial+accept+close: dial, wait until the accepting side
// has closed, close.
func TCPDial() harness.Case {
	return harness.Case{Name: "tcp/tcp-dial+accept+close", Run: func(m *harness.Meter) error {
		l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			return err
		}
		defer l.Close()
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				c.Close()
			}
		}()
		one := make([]byte, 1)
		return m.Loop(20, func() error {
			c, err := net.Dial("tcp4", l.Addr().String())
			if err != nil {
				return err
			}
			if _, err := c.Read(one); err != io.EOF {
				return errors.Join(errors.New("want the end of the connection"), err, c.Close())
			}
			return c.Close()
		})
	}}
}
