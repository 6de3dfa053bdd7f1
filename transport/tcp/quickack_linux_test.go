package tcp_test

import (
	"errors"
	"io"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/transport"
	"github.com/gamelan-p2p/gamelan/transport/tcp"
)

func option(t *testing.T, c *tcp.Conn, opt int) int {
	t.Helper()
	raw, err := c.Conn.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var v int
	var optErr error
	if err := raw.Control(func(fd uintptr) { v, optErr = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, opt) }); err != nil || optErr != nil {
		t.Fatal(err, optErr)
	}
	return v
}

func clearQuickAck(t *testing.T, c *tcp.Conn) {
	t.Helper()
	raw, err := c.Conn.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for try := 0; ; try++ { // a timer of the kernel may set it
		raw.Control(func(fd uintptr) { syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 0) })
		if option(t, c, syscall.TCP_QUICKACK) == 0 {
			return
		}
		if try < 3 {
			continue
		}
		t.Skip("this kernel does not let TCP_QUICKACK be cleared")
	}
}

// conforms: comms 144
func TestQuickAckAfterReads(t *testing.T) {
	ours, other := pair(t)
	if got := option(t, ours, syscall.TCP_NODELAY); got == 0 {
		t.Errorf("TCP_NODELAY: got %d, want on", got)
	}
	if _, err := other.Write([]byte("12345678")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 8)
	if _, err := io.ReadFull(ours, b[:4]); err != nil {
		t.Fatal(err)
	}
	if n, err := ours.Read(b); n != 4 || err != nil {
		t.Fatalf("read: got %d, %v, want 4", n, err)
	}
	clearQuickAck(t, ours)
	readNothing(t, ours)
	if option(t, ours, syscall.TCP_QUICKACK) == 0 {
		t.Error("TCP_QUICKACK in the read after one that emptied the socket: got off, want on")
	}
	// A read that filled its buffer leaves the option alone: there may be more.
	if _, err := other.Write([]byte("12345678")); err != nil {
		t.Fatal(err)
	}
	if n, err := io.ReadFull(ours, b[:4]); n != 4 || err != nil {
		t.Fatalf("read: got %d, %v, want 4", n, err)
	}
	clearQuickAck(t, ours)
	readNothing(t, ours)
	if option(t, ours, syscall.TCP_QUICKACK) != 0 {
		t.Error("TCP_QUICKACK in the read after one that filled its buffer: got on, want untouched")
	}
}

// TestQuickAckUnlessAnswered: an answer has acknowledged what was read.
func TestQuickAckUnlessAnswered(t *testing.T) {
	ours, other := pair(t)
	b := make([]byte, 8)
	for _, answered := range []bool{true, false, true} {
		if _, err := other.Write([]byte("1234")); err != nil {
			t.Fatal(err)
		}
		if n, err := ours.Read(b); n != 4 || err != nil {
			t.Fatalf("read: got %d, %v, want 4", n, err)
		}
		if answered {
			if _, err := ours.Write([]byte("answer")); err != nil {
				t.Fatal(err)
			}
		}
		clearQuickAck(t, ours)
		readNothing(t, ours)
		if got := option(t, ours, syscall.TCP_QUICKACK) == 0; got != answered {
			t.Errorf("answered %t: TCP_QUICKACK in the next read: left off %t", answered, got)
		}
	}
}

// TestDelayAcks: what came is acknowledged when the kernel likes.
//
// conforms: V 45
func TestDelayAcks(t *testing.T) {
	ours, other := pair(t)
	b := make([]byte, 8)
	for _, delays := range []bool{false, true} {
		if delays {
			ours.DelayAcks()
		}
		if _, err := other.Write([]byte("1234")); err != nil {
			t.Fatal(err)
		}
		if n, err := ours.Read(b); n != 4 || err != nil {
			t.Fatalf("read: got %d, %v, want 4", n, err)
		}
		clearQuickAck(t, ours)
		readNothing(t, ours)
		if got := option(t, ours, syscall.TCP_QUICKACK) == 0; got != delays {
			t.Errorf("delays %t: TCP_QUICKACK in the next read: left off %t", delays, got)
		}
	}
}

// readNothing is a read whose deadline is over.
func readNothing(t *testing.T, c *tcp.Conn) {
	t.Helper()
	c.SetReadDeadline(time.Unix(1, 0))
	defer c.SetReadDeadline(time.Time{})
	if n, err := c.Read(make([]byte, 8)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("read after the deadline: got %d, %v, want nothing", n, err)
	}
}

// A peer with Nagle's algorithm on writes each request in two small pieces,
// as the older releases do. Its second piece waits for our acknowledgement of
// the first.
//
// conforms: comms 144
func TestPeerWithNagle(t *testing.T) {
	ours, other := pair(t)
	other.SetNoDelay(false)
	go func() {
		b := make([]byte, 64)
		for got := 0; ; {
			n, err := ours.Read(b)
			if err != nil {
				return
			}
			for got += n; got >= 8; got -= 8 {
				if _, err := ours.Write([]byte("pong")); err != nil {
					return
				}
			}
		}
	}()
	var trips []time.Duration
	for range 60 {
		start := time.Now()
		other.Write([]byte("head"))
		other.Write([]byte("body"))
		if _, err := io.ReadFull(other, make([]byte, 4)); err != nil {
			t.Fatal(err)
		}
		trips = append(trips, time.Since(start))
	}
	// With delayed acknowledgements every trip takes 40 ms, once the kernel has
	// stopped to acknowledge the first segments of a connection at once.
	const delayed = 40 * time.Millisecond
	if got := slices.Min(trips[len(trips)/2:]); got >= delayed {
		t.Errorf("round trip: got at least %v, want one without a delayed acknowledgement of %v", got, delayed)
	}
}

var _ transport.Conn = (*tcp.Conn)(nil)
