package upgrade

import (
	"testing"

	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/transport/memory"
)

// Both ends of a set-up over a pipe in memory, with the closing.
func BenchmarkUpgrade(b *testing.B) {
	for _, p := range []protocol.Profile{tari(), protocol.Lesson2020()} {
		b.Run(p.Name, func(b *testing.B) {
			client, server := config(b, p), config(b, p)
			want := server.Secret.PublicKey()
			b.ReportAllocs()
			for b.Loop() {
				x, y := sockets(b, memory.Link{})
				done := make(chan outcome, 1)
				go func() {
					r, err := Inbound(b.Context(), y, server)
					done <- outcome{r, err}
				}()
				out, err := Outbound(b.Context(), x, client, want)
				in := <-done
				if err != nil || in.err != nil {
					b.Fatal(err, in.err)
				}
				out.Session.Close()
				in.r.Session.Close()
			}
		})
	}
}
