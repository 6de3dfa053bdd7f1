package torconn

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/gamelan-p2p/gamelan/transport"
	"github.com/gamelan-p2p/gamelan/transport/tor"
)

// Conn is a control connection. Read is for one goroutine at a time, and so is Write.
type Conn struct {
	stream io.ReadWriteCloser
	reader *tor.Reader
}

// New returns the control connection over a stream that is open.
func New(stream io.ReadWriteCloser) *Conn { return &Conn{stream, tor.NewReader(stream)} }

// Read returns the next reply or event; see [tor.Reader.Read].
func (c *Conn) Read() (tor.Reply, error) { return c.reader.Read() }

// Write sends commands. Over a socket it waits at most [tor.CommandLimit].
func (c *Conn) Write(commands []tor.Command) error {
	var b []byte
	for _, command := range commands {
		b = command.Append(b)
	}
	if s, ok := c.stream.(net.Conn); ok {
		if err := s.SetWriteDeadline(time.Now().Add(tor.CommandLimit)); err != nil {
			return err
		}
	}
	_, err := c.stream.Write(b)
	return err
}

// Close ends the connection and every present call.
func (c *Conn) Close() error { return c.stream.Close() }

// CheckAddress returns an error that says which addresses a control port can have.
func CheckAddress(a ma.Multiaddr) error {
	_, _, err := dialArgs(a)
	return err
}

// Elsewhere returns the control port's IP address, or one that is not valid if the control port
// is on this machine.
func Elsewhere(a ma.Multiaddr) netip.Addr {
	if ip, ok := transport.IP(a); ok && !ip.IsLoopback() {
		return ip.Unmap()
	}
	return netip.Addr{}
}

func dialArgs(a ma.Multiaddr) (network, addr string, err error) {
	if len(a) > 0 {
		switch code := a[0].Code(); code {
		case ma.P_IP4, ma.P_IP6, ma.P_UNIX:
			if network, addr, err = manet.DialArgs(a); err == nil && (code == ma.P_UNIX || len(a) == 2 && a[1].Code() == ma.P_TCP) {
				return network, addr, nil
			}
		}
	}
	return "", "", fmt.Errorf("tor: the control port cannot have the address %q; it must be /ip4/…/tcp/…, /ip6/…/tcp/… or /unix/…, such as /ip4/127.0.0.1/tcp/9051", a)
}

// Dial connects to the control port at a, in at most [tor.CommandLimit].
func Dial(ctx context.Context, a ma.Multiaddr) (*Conn, error) {
	network, addr, err := dialArgs(a)
	if err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeout(ctx, tor.CommandLimit)
	defer cancel()
	c, err := (&net.Dialer{KeepAlive: -1}).DialContext(limited, network, addr)
	if err != nil {
		return nil, transport.Classify(err)
	}
	return New(c), nil
}
