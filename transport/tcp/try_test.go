//go:build unix

package tcp_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// TestTryWrite fills the socket of a peer that does not read: TryWrite returns when there is
// no more room, and goes on when there is. The peer reads every byte once.
func TestTryWrite(t *testing.T) {
	ours, other := pair(t)
	if !ours.CanTry() {
		t.Fatal("got a connection that cannot")
	}
	want := make([]byte, 64<<20)
	rand.Read(want)
	sent, short := 0, false
	for !short {
		n, err := ours.TryWrite(want[sent:min(len(want), sent+100_000)])
		if err != nil || n < 0 {
			t.Fatal(n, err)
		}
		short = n < 100_000
		sent += n
	}
	if n, err := ours.TryWrite(want[sent:]); n != 0 || err != nil {
		t.Errorf("without room: got %d, %v, want 0 and no error", n, err)
	}
	got := make(chan []byte)
	go func() {
		b, _ := io.ReadAll(other)
		got <- b
	}()
	for sent < len(want) {
		n, err := ours.TryWrite(want[sent:])
		if err != nil {
			t.Fatal(err)
		}
		sent += n
		time.Sleep(100 * time.Microsecond)
	}
	ours.CloseWrite()
	if !bytes.Equal(<-got, want) {
		t.Error("got other bytes than were written")
	}
}

func TestTryWriteErrors(t *testing.T) {
	ours, _ := pair(t)
	ours.SetWriteDeadline(time.Unix(1, 0))
	if n, err := ours.TryWrite([]byte("x")); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after the deadline: got %d, %v, want ErrDeadlineExceeded", n, err)
	}
	ours.SetWriteDeadline(time.Time{})
	ours.Close()
	if n, err := ours.TryWrite([]byte("x")); n != 0 || !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: got %d, %v, want ErrClosed", n, err)
	}

	ours, other := pair(t)
	other.SetLinger(0)
	other.Close() // a reset
	var err error
	for begin := time.Now(); err == nil && time.Since(begin) < 10*time.Second; {
		_, err = ours.TryWrite([]byte("x"))
	}
	if err == nil {
		t.Error("after a reset: got no error")
	}
}

// TryWrite is called for each small message.
func TestTryWriteAllocatesNothing(t *testing.T) {
	ours, other := pair(t)
	go io.Copy(io.Discard, other)
	b := make([]byte, 64)
	if got := testing.AllocsPerRun(200, func() { ours.TryWrite(b) }); got > 0 {
		t.Errorf("got %v allocations, want none", got)
	}
}
