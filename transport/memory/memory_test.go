package memory_test

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/internal/transport/transporttest"
	"github.com/gamelan-p2p/gamelan/transport"
	"github.com/gamelan-p2p/gamelan/transport/memory"
)

var (
	anyPort = ma.StringCast("/memory/0")
	one     = ma.StringCast("/memory/1")
	two     = ma.StringCast("/memory/2")
)

func TestConformance(t *testing.T) {
	for name, link := range map[string]memory.Link{
		"immediate":    {},
		"small pieces": {Buffer: 1, MaxRead: 13},
		"slow":         {Latency: time.Millisecond, Jitter: time.Millisecond, Bandwidth: 20 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			transporttest.Conformance(t, func(*testing.T) (transport.Transport, ma.Multiaddr) {
				n := memory.NewNetwork()
				n.SetLink(link)
				return n.Transport(), anyPort
			})
		})
	}
}

// conforms: comms 20
func TestPorts(t *testing.T) {
	n := memory.NewNetwork()
	tr := n.Transport()
	first, second := listen(t, tr, anyPort), listen(t, tr, anyPort)
	if first.Multiaddr().Equal(second.Multiaddr()) || first.Multiaddr().Equal(anyPort) {
		t.Errorf("port 0 twice: got %s and %s, want two free ports", first.Multiaddr(), second.Multiaddr())
	}
	if _, err := n.Transport().Listen(t.Context(), first.Multiaddr()); !errors.Is(err, transport.ErrAddressInUse) {
		t.Errorf("second listener on %s: got %v, want ErrAddressInUse", first.Multiaddr(), err)
	}
	for _, a := range []string{"/memory/0", "/memory/9"} {
		if _, err := tr.Dial(t.Context(), ma.StringCast(a)); !errors.Is(err, transport.ErrAddressNotAvailable) {
			t.Errorf("dial %s: got %v, want ErrAddressNotAvailable", a, err)
		}
	}
	beyond := ma.StringCast("/memory/65536")
	if _, err := tr.Dial(t.Context(), beyond); !errors.Is(err, transport.ErrUnsupported) {
		t.Errorf("dial %s: got %v, want ErrUnsupported", beyond, err)
	}
	if _, err := tr.Listen(t.Context(), beyond); !errors.Is(err, transport.ErrUnsupported) {
		t.Errorf("listen on %s: got %v, want ErrUnsupported", beyond, err)
	}
	if longer := ma.StringCast("/memory/1/tcp/1"); tr.Handles(longer) {
		t.Errorf("Handles(%s): got true, want false", longer)
	}

	reserved, err := n.Reserve()
	if err != nil {
		t.Fatal(err)
	}
	if next := listen(t, tr, anyPort); next.Multiaddr().Equal(reserved) {
		t.Errorf("port 0 gave the reserved %s", reserved)
	}
	listen(t, tr, reserved)
}

func TestAllPortsInUse(t *testing.T) {
	tr := memory.NewNetwork().Transport()
	for {
		l, err := tr.Listen(t.Context(), anyPort)
		if err != nil {
			if _, ok := errors.AsType[*transport.ListenError](err); !ok {
				t.Errorf("got %v, want a *ListenError", err)
			}
			return
		}
		if l.Multiaddr().Equal(anyPort) {
			t.Fatal("got port 0")
		}
	}
}

func TestAddresses(t *testing.T) {
	a, b := pair(t, memory.NewNetwork(), one)
	for _, got := range []ma.Multiaddr{a.LocalMultiaddr(), b.RemoteMultiaddr()} {
		if !got.Equal(anyPort) {
			t.Errorf("address of the end that dialled: got %s, want %s", got, anyPort)
		}
	}
	if got := b.LocalAddr(); got.String() != "/memory/1" || got.Network() != "memory" {
		t.Errorf("got %s %s, want memory /memory/1", got.Network(), got)
	}
}

func TestNetworksAreApart(t *testing.T) {
	listen(t, memory.NewNetwork().Transport(), one)
	if _, err := memory.NewNetwork().Transport().Dial(t.Context(), one); !errors.Is(err, transport.ErrAddressNotAvailable) {
		t.Errorf("dial into another network: got %v, want ErrAddressNotAvailable", err)
	}
	if memory.Default() != memory.Default().Transport().Network() {
		t.Error("Default: got two networks, want one")
	}
}

// A Network holds nothing that belongs to a bubble, so that the default one
// can be used in one after another.
func TestDefaultInBubbles(t *testing.T) {
	for range 3 {
		synctest.Test(t, func(t *testing.T) {
			n := memory.Default()
			before := n.Conns()
			l := listen(t, n.Transport(), anyPort)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			n.HealAll() // ends what the bubble before has left
			a, b := connect(t, n.Transport(), l)
			mustWrite(t, a, "x")
			mustRead(t, b, "x")
			a.Close()
			b.Close()
			if got := n.Conns(); got != before {
				t.Errorf("got %d connections left, want %d", got, before)
			}
			n.Partition(l.Multiaddr(), nil)
			if _, err := n.Transport().Dial(ctx, l.Multiaddr()); !errors.Is(err, transport.ErrTimeout) {
				t.Errorf("dial across a partition: got %v, want ErrTimeout", err)
			}
		})
	}
	memory.Default().HealAll()
}

func TestLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memory.NewNetwork()
		n.SetLink(memory.Link{Latency: 30 * time.Millisecond})
		start := time.Now()
		a, b := pair(t, n, one)
		if got, want := time.Since(start), 60*time.Millisecond; got != want {
			t.Errorf("dial: got %v, want %v", got, want)
		}
		start = time.Now()
		mustWrite(t, a, "x")
		mustRead(t, b, "x")
		if got, want := time.Since(start), 30*time.Millisecond; got != want {
			t.Errorf("byte: got %v, want %v", got, want)
		}
		start = time.Now()
		a.Close()
		if _, err := b.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("read: got %v, want EOF", err)
		}
		if got, want := time.Since(start), 30*time.Millisecond; got != want {
			t.Errorf("end: got %v, want %v", got, want)
		}
	})
}

func TestLinkChangesKeepOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memory.NewNetwork()
		n.SetLink(memory.Link{Latency: time.Second})
		a, b := pair(t, n, one)
		start := time.Now()
		mustWrite(t, a, "slow")
		n.SetLink(memory.Link{})
		mustWrite(t, a, "fast")
		mustRead(t, b, "slowfast")
		if got := time.Since(start); got != time.Second {
			t.Errorf("got %v, want 1s", got)
		}
	})
}

func TestJitter(t *testing.T) {
	run := func(seed uint64) (delays []time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			n := memory.NewNetwork()
			n.Seed(seed)
			n.SetLink(memory.Link{Latency: 10 * time.Millisecond, Jitter: 20 * time.Millisecond})
			a, b := pair(t, n, one)
			for i := range byte(50) {
				start := time.Now()
				mustWrite(t, a, string(i))
				mustRead(t, b, string(i))
				delays = append(delays, time.Since(start))
			}
			// Sent together they keep their order.
			for i := range byte(100) {
				mustWrite(t, a, string(rune(i)))
			}
			for i := range byte(100) {
				mustRead(t, b, string(rune(i)))
			}
		})
		return delays
	}
	first, again, other := run(1), run(1), run(2)
	different := false
	for i := range first {
		if first[i] != again[i] {
			t.Fatalf("delay %d with one seed: got %v and %v, want the same", i, first[i], again[i])
		}
		different = different || first[i] != other[i]
		if first[i] < 10*time.Millisecond || first[i] >= 30*time.Millisecond {
			t.Errorf("delay %d: got %v, want 10ms to 30ms", i, first[i])
		}
	}
	if !different {
		t.Error("two seeds: got the same delays, want others")
	}
}

func TestBandwidth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memory.NewNetwork()
		n.SetLink(memory.Link{Bandwidth: 100_000})
		a, b := pair(t, n, one)
		start := time.Now()
		go func() {
			a.Write(make([]byte, 1_000_000))
			a.Close()
		}()
		got, err := io.Copy(io.Discard, b)
		if got != 1_000_000 || err != nil {
			t.Fatalf("got %d bytes, %v, want 1000000", got, err)
		}
		if took := time.Since(start).Round(time.Millisecond); took != 10*time.Second {
			t.Errorf("1 MB at 100 kB/s: got %v, want 10s", took)
		}
	})
}

func TestBufferBoundsTheWriter(t *testing.T) {
	for _, c := range []struct{ set, want int }{{0, 64 << 10}, {1, memory.MinBuffer}, {10_000, 10_000}} {
		synctest.Test(t, func(t *testing.T) {
			n := memory.NewNetwork()
			n.SetLink(memory.Link{Buffer: c.set})
			a, b := pair(t, n, one)
			a.SetWriteDeadline(time.Now().Add(time.Second))
			got, err := a.Write(make([]byte, 1<<20))
			if got != c.want || !transport.IsTimeout(err) {
				t.Errorf("buffer %d: got %d bytes written, %v, want %d and a timeout", c.set, got, err, c.want)
			}
			a.SetWriteDeadline(time.Time{})
			// Room for one more byte lets the writer go on.
			if _, err := b.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			mustWrite(t, a, "x")
		})
	}
}

func TestWritesDoNotInterleave(t *testing.T) {
	n := memory.NewNetwork()
	n.SetLink(memory.Link{Buffer: 1, MaxRead: 100})
	a, b := pair(t, n, one)
	const size, each = 5000, 20
	var wg sync.WaitGroup
	for i := range byte(3) {
		wg.Go(func() {
			data := make([]byte, size)
			for j := range data {
				data[j] = i
			}
			for range each {
				if _, err := a.Write(data); err != nil {
					t.Errorf("write: %v", err)
				}
			}
		})
	}
	go func() {
		wg.Wait()
		a.Close()
	}()
	all, err := io.ReadAll(b)
	if err != nil || len(all) != 3*each*size {
		t.Fatalf("got %d bytes, %v, want %d", len(all), err, 3*each*size)
	}
	for i := 0; i < len(all); i += size {
		for _, got := range all[i : i+size] {
			if got != all[i] {
				t.Fatalf("got %d within a Write of %d, want Writes whole", got, all[i])
			}
		}
	}
}

func TestCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memory.NewNetwork()
		n.SetLink(memory.Link{Latency: time.Second})
		a, b := pair(t, n, one)
		c, d := pair(t, n, two)
		mustWrite(t, a, "arrived")
		time.Sleep(2 * time.Second)
		mustWrite(t, a, "under way")
		if got := n.Cut(one, nil); got != 1 {
			t.Errorf("cut: got %d connections, want 1", got)
		}
		mustRead(t, b, "arrived")
		for name, op := range map[string]func([]byte) (int, error){"read": b.Read, "write": b.Write, "other write": a.Write, "other read": a.Read} {
			if _, err := op(make([]byte, 1)); !transport.IsReset(err) {
				t.Errorf("%s after a cut: got %v, want a reset", name, err)
			}
		}
		mustWrite(t, c, "other connections live")
		mustRead(t, d, "other connections live")
		c.(*memory.Conn).Cut()
		if _, err := d.Read(make([]byte, 1)); !transport.IsReset(err) {
			t.Errorf("read after Conn.Cut: got %v, want a reset", err)
		}
	})
}

func TestCutWakesBlocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memory.NewNetwork()
		a, _ := pair(t, n, one)
		ended := make(chan error, 2)
		go func() { _, err := a.Read(make([]byte, 1)); ended <- err }()
		go func() { _, err := a.Write(make([]byte, 1<<20)); ended <- err }()
		synctest.Wait()
		n.Cut(nil, nil)
		for range 2 {
			if err := <-ended; !transport.IsReset(err) {
				t.Errorf("got %v, want a reset", err)
			}
		}
	})
}

func TestPartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memory.NewNetwork()
		n.SetLink(memory.Link{Latency: 10 * time.Millisecond})
		ta, tb, tc := n.Transport(), n.Transport(), n.Transport()
		la, lb := listen(t, ta, one), listen(t, tb, two)
		ab, ba := connect(t, ta, lb)
		ca, ac := connect(t, tc, la)
		mustWrite(t, ab, "before")
		time.Sleep(time.Second)
		mustWrite(t, ab, "under way")
		n.Partition(one, two)
		mustRead(t, ba, "before")
		mustWrite(t, ab, "during")
		mustWrite(t, ba, "back")
		ba.SetReadDeadline(time.Now().Add(time.Hour))
		if _, err := ba.Read(make([]byte, 1)); !transport.IsTimeout(err) {
			t.Errorf("read across a partition: got %v, want a timeout", err)
		}
		ba.SetReadDeadline(time.Time{})
		mustWrite(t, ca, "others talk")
		mustRead(t, ac, "others talk")

		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := tb.Dial(ctx, one); !errors.Is(err, transport.ErrTimeout) {
			t.Errorf("dial across a partition: got %v, want ErrTimeout", err)
		}
		dialled := make(chan error, 1)
		go func() {
			c, err := tb.Dial(t.Context(), one)
			if err == nil {
				c.Close()
			}
			dialled <- err
		}()
		synctest.Wait()
		select {
		case err := <-dialled:
			t.Errorf("dial during a partition: got %v, want it to wait", err)
		default:
		}

		start := time.Now()
		n.Heal(two, one)
		mustRead(t, ba, "under wayduring")
		mustRead(t, ab, "back")
		if got := time.Since(start); got != 10*time.Millisecond {
			t.Errorf("after the partition: got %v, want 10ms", got)
		}
		if err := <-dialled; err != nil {
			t.Errorf("dial after the partition: %v", err)
		}
	})
}

func TestPartitionHidesClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memory.NewNetwork()
		ta, tb := n.Transport(), n.Transport()
		a, b := connect(t, ta, listen(t, tb, one))
		ta.Partition(tb)
		a.Close()
		mustWrite(t, b, "nobody knows")
		b.SetReadDeadline(time.Now().Add(time.Hour))
		if _, err := b.Read(make([]byte, 1)); !transport.IsTimeout(err) {
			t.Errorf("read: got %v, want a timeout", err)
		}
		b.SetReadDeadline(time.Time{})
		ta.Heal(tb)
		if _, err := b.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("read after the partition: got %v, want EOF", err)
		}
		if _, err := b.Write([]byte("x")); !transport.IsReset(err) {
			t.Errorf("write after the partition: got %v, want a reset", err)
		}
		n.Partition(nil, nil)
		n.HealAll()
		connect(t, ta, listen(t, tb, two))
	})
}

func TestLinkBetween(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memory.NewNetwork()
		n.SetLinkBetween(one, nil, memory.Link{Latency: time.Second})
		for a, want := range map[string]time.Duration{"/memory/1": time.Second, "/memory/2": 0} {
			x, y := pair(t, n, ma.StringCast(a))
			start := time.Now()
			mustWrite(t, x, "x")
			mustRead(t, y, "x")
			if got := time.Since(start); got != want {
				t.Errorf("%s: got %v, want %v", a, got, want)
			}
		}
	})
}

func TestBacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := memory.NewNetwork().Transport()
		l := listen(t, tr, one)
		queued := 0
		for {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			c, err := tr.Dial(ctx, one)
			cancel()
			if err != nil {
				if !errors.Is(err, transport.ErrTimeout) {
					t.Errorf("dial a full listener: got %v, want ErrTimeout", err)
				}
				break
			}
			defer c.Close()
			queued++
		}
		if queued != 128 {
			t.Errorf("got %d connections queued, want 128", queued)
		}
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		connect(t, tr, l)
	})
}

// A day of keep-alives on many connections costs little, because nothing
// happens in between: no goroutine, no timer.
func TestIdleConnectionsAreFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memory.NewNetwork()
		n.SetLink(memory.Link{Latency: 20 * time.Millisecond, Jitter: 10 * time.Millisecond})
		const conns, every, pings = 40, 30 * time.Second, 24 * 60 * 2
		var wg sync.WaitGroup
		tr := n.Transport()
		l := listen(t, tr, one)
		for range conns {
			a, b := connect(t, n.Transport(), l)
			wg.Go(func() {
				defer a.Close()
				frame := make([]byte, 28)
				for range pings {
					time.Sleep(every)
					a.SetWriteDeadline(time.Now().Add(time.Minute))
					if _, err := a.Write(frame); err != nil {
						t.Errorf("ping: %v", err)
					}
					if _, err := io.ReadFull(a, frame); err != nil {
						t.Errorf("pong: %v", err)
					}
				}
			})
			wg.Go(func() {
				defer b.Close()
				if _, err := io.Copy(b, b); err != nil {
					t.Errorf("echo: %v", err)
				}
			})
		}
		wg.Wait()
		if got := n.Conns(); got != 0 {
			t.Errorf("got %d connections left, want 0", got)
		}
	})
}

func TestNothingIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memory.NewNetwork()
		a, b := pair(t, n, one)
		a.SetDeadline(time.Now().Add(time.Hour))
		go b.Read(make([]byte, 1))
		go func() {
			a.Write(make([]byte, 1<<20))
		}()
		synctest.Wait()
		a.Close()
		b.Close()
		if got := n.Conns(); got != 0 {
			t.Errorf("got %d connections, want 0", got)
		}
	}) // a goroutine left behind would fail the bubble
}

func listen(t *testing.T, tr *memory.Transport, a ma.Multiaddr) transport.Listener {
	t.Helper()
	l, err := tr.Listen(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func connect(t *testing.T, from *memory.Transport, l transport.Listener) (dialled, accepted transport.Conn) {
	t.Helper()
	dialled, err := from.Dial(t.Context(), l.Multiaddr())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		dialled.Close()
		accepted.Close()
	})
	return dialled, accepted
}

func pair(t *testing.T, n *memory.Network, a ma.Multiaddr) (dialled, accepted transport.Conn) {
	t.Helper()
	return connect(t, n.Transport(), listen(t, n.Transport(), a))
}

func mustWrite(t *testing.T, c io.Writer, s string) {
	t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		t.Fatalf("write: %v", err)
	}
}

func mustRead(t *testing.T, c io.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
		t.Fatalf("read: got %q, %v, want %q", got, err, want)
	}
}

func BenchmarkPingPong(b *testing.B) {
	n := memory.NewNetwork()
	l, err := n.Transport().Listen(b.Context(), anyPort)
	if err != nil {
		b.Fatal(err)
	}
	x, err := n.Transport().Dial(b.Context(), l.Multiaddr())
	if err != nil {
		b.Fatal(err)
	}
	y, err := l.Accept()
	if err != nil {
		b.Fatal(err)
	}
	go io.Copy(y, y)
	buf := make([]byte, 32)
	b.ReportAllocs()
	for b.Loop() {
		x.Write(buf)
		io.ReadFull(x, buf)
	}
	x.Close()
	y.Close()
}
