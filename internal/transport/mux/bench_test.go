//go:build unix

package mux

import (
	"bufio"
	"io"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/yamux"

	"github.com/gamelan-p2p/gamelan/protocol"
)

// streamPair is one substream seen from both ends, and a way to more.
type streamPair struct {
	a, b  protocol.Stream
	open  func() (protocol.Stream, error)
	close func()
}

// bare is a substream of the library without this package.
type bare struct{ *yamux.Stream }

func (s bare) CloseWrite() error { return s.Stream.Close() }

func oursOver(b *testing.B, serve func(protocol.Stream)) streamPair {
	x, y := noisePair(b)
	client, server := wrap(b, x, true, Config{}), wrap(b, y, false, Config{})
	st, err := client.Open()
	if err != nil {
		b.Fatal(err)
	}
	in, err := server.Accept()
	if err != nil {
		b.Fatal(err)
	}
	go func() {
		for {
			st, err := server.Accept()
			if err != nil {
				return
			}
			go serve(st)
		}
	}()
	return streamPair{st, in, func() (protocol.Stream, error) { return client.Open() }, func() { client.Close(); server.Close() }}
}

func bareOver(b *testing.B, serve func(protocol.Stream)) streamPair {
	x, y := noisePair(b)
	cfg := libraryConfig
	client, err := yamux.Client(x, cfg)
	if err != nil {
		b.Fatal(err)
	}
	server, err := yamux.Server(y, cfg)
	if err != nil {
		b.Fatal(err)
	}
	st, err := client.OpenStream()
	if err != nil {
		b.Fatal(err)
	}
	in, err := server.AcceptStream()
	if err != nil {
		b.Fatal(err)
	}
	go func() {
		for {
			st, err := server.AcceptStream()
			if err != nil {
				return
			}
			go serve(bare{st})
		}
	}()
	open := func() (protocol.Stream, error) {
		st, err := client.OpenStream()
		return bare{st}, err
	}
	return streamPair{bare{st}, bare{in}, open, func() { client.Close(); server.Close() }}
}

// echo answers one byte and waits for the end.
func echo(st protocol.Stream) {
	var b [1]byte
	if _, err := io.ReadFull(st, b[:]); err == nil {
		st.Write(b[:])
	}
	io.Copy(io.Discard, st)
	st.CloseWrite()
}

// oneWay writes n messages of the size, batch by batch, and reads them.
func oneWay(b *testing.B, p streamPair, n, size, batch int) {
	done := make(chan error, 1)
	go func() {
		r := bufio.NewReaderSize(p.b, 64<<10)
		_, err := io.CopyN(io.Discard, r, int64(n*size))
		done <- err
	}()
	w := bufio.NewWriterSize(p.a, batch)
	msg := make([]byte, size)
	for range n {
		w.Write(msg)
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
	if err := <-done; err != nil {
		b.Fatal(err)
	}
}

func cpu() time.Duration {
	var r syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// BenchmarkAgainstLibrary runs each case with the session and with the bare
// library in turns, over Noise over loopback TCP, and gives the ratios of rate
// (more is better) and processor time (less is better).
func BenchmarkAgainstLibrary(b *testing.B) {
	cases := []struct {
		name string
		run  func(b *testing.B, p streamPair, n int)
	}{
		{"32B-batched", func(b *testing.B, p streamPair, n int) { oneWay(b, p, n, 32, 32<<10) }},
		{"32B-each", func(b *testing.B, p streamPair, n int) { oneWay(b, p, n, 32, 32) }},
		{"1KiB-batched", func(b *testing.B, p streamPair, n int) { oneWay(b, p, n, 1024, 32<<10) }},
		{"1KiB-each", func(b *testing.B, p streamPair, n int) { oneWay(b, p, n, 1024, 1024) }},
		{"bulk-64KiB", func(b *testing.B, p streamPair, n int) { oneWay(b, p, n, 64<<10, 64<<10) }},
		{"open+echo+close", func(b *testing.B, p streamPair, n int) {
			var buf [1]byte
			for range n {
				st, err := p.open()
				if err != nil {
					b.Fatal(err)
				}
				st.Write(buf[:])
				if _, err := io.ReadFull(st, buf[:]); err != nil {
					b.Fatal(err)
				}
				st.CloseWrite()
				io.Copy(io.Discard, st)
			}
		}},
	}
	for _, c := range cases {
		b.Run(c.name, func(b *testing.B) {
			subjects := [2]streamPair{oursOver(b, echo), bareOver(b, echo)}
			defer subjects[0].close()
			defer subjects[1].close()
			for _, p := range subjects {
				c.run(b, p, 100)
			}
			const rounds = 10
			n := max(1, b.N/rounds)
			var wall, used [2]time.Duration
			b.ResetTimer()
			for round := range rounds {
				for i := range subjects {
					k := (i + round) % 2
					start, before := time.Now(), cpu()
					c.run(b, subjects[k], n)
					wall[k] += time.Since(start)
					used[k] += cpu() - before
				}
			}
			b.ReportMetric(float64(wall[0].Nanoseconds())/float64(n*rounds), "ours-ns/op")
			b.ReportMetric(float64(wall[1])/float64(wall[0]), "×rate")
			b.ReportMetric(float64(used[0])/float64(used[1]), "×cpu")
		})
	}
}
