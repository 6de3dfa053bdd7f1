package socks_test

import (
	"context"
	"io"
	"net"
	"sync/atomic"
	"testing"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/transport/socks"
)

// TestOnionIsAskedTwice has a proxy that refuses requests with a code. One for an onion service
// that may be there all the same is made once more; nothing else is.
func TestOnionIsAskedTwice(t *testing.T) {
	for _, c := range []struct {
		name     string
		to       ma.Multiaddr
		code     socks.Code
		refusals int
		requests int32
		works    bool
	}{
		{"no descriptor yet", onion, socks.OnionNotFound, 1, 2, true},
		{"introduction failed", onion, socks.OnionIntroFailed, 1, 2, true},
		{"general failure", onion, socks.GeneralFailure, 1, 2, true},
		{"host unreachable", onion, socks.HostUnreachable, 1, 2, true},
		{"expired", onion, socks.Expired, 1, 2, true},
		{"never published", onion, socks.OnionNotFound, 9, 2, false},
		{"nothing listens there", onion, socks.Refused, 1, 1, false},
		{"a bad address", onion, socks.OnionBadAddress, 1, 1, false},
		{"a client key is missing", onion, socks.OnionClientAuthMissing, 1, 1, false},
		{"an IP address", peerIP, socks.GeneralFailure, 1, 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := plain
			o.Proxy = ma.StringCast("/ip4/127.0.0.1/tcp/9050")
			tr := newTransport(t, o)
			var requests atomic.Int32
			tr.ConnectBy(func(context.Context, string, string) (net.Conn, error) {
				ours, theirs := net.Pipe()
				code := socks.Succeeded
				if int(requests.Add(1)) <= c.refusals {
					code = c.code
				}
				go func() {
					defer theirs.Close()
					b := make([]byte, 1024)
					theirs.Read(b) // the greeting
					theirs.Write([]byte{5, 0})
					theirs.Read(b) // the request
					theirs.Write([]byte{5, byte(code), 0, 1, 0, 0, 0, 0, 0, 0})
					io.Copy(io.Discard, theirs)
				}()
				return ours, nil
			})
			conn, err := tr.Dial(t.Context(), c.to)
			if (err == nil) != c.works || requests.Load() != c.requests {
				t.Errorf("got %v after %d requests, want %d", err, requests.Load(), c.requests)
			}
			if err == nil {
				conn.Close()
			}
		})
	}
}
