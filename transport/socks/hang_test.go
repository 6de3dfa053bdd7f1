package socks_test

import (
	"context"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/transport/socks"
)

// TestOnionHangs has a proxy that leaves some requests for an onion service without an answer: each is
// made again with a fresh pair, at most twice, within the limit of one dial.
func TestOnionHangs(t *testing.T) {
	for _, c := range []struct {
		name  string
		o     socks.Options
		hangs int // requests without an answer
		want  time.Duration
		pairs int  // different passwords
		stuck int  // how often the transport said that fresh pairs do not help
		works bool // the dial
	}{
		{"never", socks.Options{}, 0, 0, 1, 0, true},
		{"once", socks.Options{}, 1, 15 * time.Second, 2, 0, true},
		{"twice", socks.Options{}, 2, 30 * time.Second, 3, 1, true},
		{"always", socks.Options{}, 3, time.Minute, 3, 1, false},
		{"without isolation", socks.Options{Isolation: socks.NoIsolation}, 1, time.Minute, 0, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c.o.Proxy = ma.StringCast("/ip4/127.0.0.1/tcp/9050")
				tr := newTransport(t, c.o)
				passwords, requests, stuck := map[string]bool{}, 0, 0
				tr.OnStuck(func() { stuck++ })
				tr.ConnectBy(func(context.Context, string, string) (net.Conn, error) {
					ours, theirs := net.Pipe()
					requests++
					hang := requests <= c.hangs
					go func() {
						defer theirs.Close()
						b := make([]byte, 1024)
						theirs.Read(b) // the greeting
						if b[1] == 2 {
							theirs.Write([]byte{5, 2})
							n, _ := theirs.Read(b)
							passwords[string(b[:n])] = true
							theirs.Write([]byte{1, 0})
						} else {
							theirs.Write([]byte{5, 0})
						}
						theirs.Read(b) // the request
						if !hang {
							theirs.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
						}
						io.Copy(io.Discard, theirs)
					}()
					return ours, nil
				})
				begin := time.Now()
				conn, err := tr.Dial(t.Context(), onion)
				if (err == nil) != c.works || time.Since(begin) != c.want {
					t.Errorf("got %v after %v, want it after %v", err, time.Since(begin), c.want)
				}
				if err == nil {
					conn.Close()
				}
				synctest.Wait()
				if len(passwords) != c.pairs || stuck != c.stuck {
					t.Errorf("got %d pairs, stuck %d times, want %d and %d", len(passwords), stuck, c.pairs, c.stuck)
				}
			})
		})
	}
}
