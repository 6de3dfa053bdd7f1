package noise

import (
	"fmt"
	"io"
	"testing"

	"github.com/gamelan-p2p/gamelan/protocol"
)

// Both ends of a handshake, one after the other on two goroutines.
func BenchmarkHandshake(b *testing.B) {
	for _, p := range []protocol.Pattern{protocol.XX, protocol.IX} {
		b.Run(p.String(), func(b *testing.B) {
			client, server := Config{Pattern: p, Static: newSecret(b)}, Config{Pattern: p, Static: newSecret(b)}
			b.ReportAllocs()
			for b.Loop() {
				x, y := sockets(b)
				c, s := shake(x, y, client, server)
				if c.err != nil || s.err != nil {
					b.Fatal(c.err, s.err)
				}
				x.Close()
				y.Close()
			}
		})
	}
}

// One frame written and read, both ends.
func BenchmarkTransport(b *testing.B) {
	for _, n := range []int{64, 1 << 10, 64 << 10} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			c, s := connect(b)
			in, out := make([]byte, n), make([]byte, n)
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				done := make(chan error, 1)
				if n > 32<<10 {
					go func() {
						_, err := c.Write(out)
						done <- err
					}()
				} else {
					_, err := c.Write(out)
					done <- err
				}
				if _, err := io.ReadFull(s, in); err != nil {
					b.Fatal(err)
				}
				if err := <-done; err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
