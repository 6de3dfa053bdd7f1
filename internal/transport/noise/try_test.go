package noise

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"testing"
	"weak"
)

// narrow is a connection whose TryWrite takes only some bytes.
type narrow struct {
	net.Conn
	room func(n int) int
	err  error
}

func (c *narrow) CanTry() bool { return true }

func (c *narrow) TryWrite(b []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	return c.Conn.Write(b[:c.room(len(b))])
}

// TestTryWrite mixes TryWrite, Flush and Write over a connection that takes any part of a
// frame. The other end reads all bytes in their order.
func TestTryWrite(t *testing.T) {
	client, server := connect(t)
	if client.CanTry() {
		t.Fatal("got a connection in memory that can write without waiting")
	}
	random := rand.New(rand.NewPCG(1, 2))
	client.try = &narrow{Conn: client.Conn, room: func(n int) int { return random.IntN(n + 1) }}
	var want []byte
	got := make(chan []byte)
	go func() {
		b, _ := io.ReadAll(server)
		got <- b
	}()
	for i := range 400 {
		b := make([]byte, 1+random.IntN(2000))
		for j := range b {
			b[j] = byte(i)
		}
		want = append(want, b...)
		var err error
		if i%3 == 0 {
			_, err = client.Write(b)
		} else {
			var left bool
			left, err = client.TryWrite(b)
			if err == nil && left != (client.rest != nil) {
				t.Fatalf("got left %v with %d bytes left", left, len(client.rest))
			}
			if left && i%2 == 0 {
				if _, err := client.TryWrite(b); err == nil {
					t.Fatal("got a second frame taken before the rest of the first")
				}
			}
			if left && (i%2 == 0 || i%3 == 1) {
				err = client.Flush()
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := client.Flush(); err != nil {
		t.Fatal(err)
	}
	client.Close()
	if !bytes.Equal(<-got, want) {
		t.Error("got other bytes than were written")
	}
}

// TestTryWriteErrorIsFinal: after an error the other end can decrypt nothing more.
func TestTryWriteErrorIsFinal(t *testing.T) {
	client, _ := connect(t)
	broken := errors.New("broken")
	client.try = &narrow{Conn: client.Conn, err: broken}
	if left, err := client.TryWrite([]byte("x")); left || err != broken {
		t.Errorf("got %v, %v, want the error", left, err)
	}
	if _, err := client.Write([]byte("x")); err != broken {
		t.Errorf("next Write: got %v, want the same error", err)
	}
	if _, err := client.TryWrite([]byte("x")); err != broken {
		t.Errorf("next TryWrite: got %v, want the same error", err)
	}
	if err := client.Flush(); err != broken {
		t.Errorf("next Flush: got %v, want the same error", err)
	}

	client, _ = connect(t)
	client.try = &narrow{Conn: client.Conn, room: func(int) int { return 3 }}
	if _, err := client.TryWrite(make([]byte, MaxPlaintext+1)); err == nil {
		t.Error("more than a frame: got no error")
	}
	if left, err := client.TryWrite([]byte("x")); !left || err != nil {
		t.Errorf("afterwards: got %v, %v, want it written in part", left, err)
	}
	client.Conn.Close()
	if err := client.Flush(); err == nil {
		t.Error("Flush of a closed connection: got no error")
	}
	if _, err := client.Write([]byte("x")); err == nil {
		t.Error("Write after a failed Flush: got no error")
	}
}

// TestFlushKeepsNoBuffer: a connection that rests does not hold the buffer of 64 KiB in which
// the rest of a frame was.
func TestFlushKeepsNoBuffer(t *testing.T) {
	client, server := connect(t)
	client.try = &narrow{Conn: client.Conn, room: func(int) int { return 3 }}
	go io.Copy(io.Discard, server)
	if left, err := client.TryWrite(make([]byte, 2*smallFrame)); !left || err != nil {
		t.Fatalf("got %v, %v, want the frame written in part", left, err)
	}
	buffer := weak.Make(client.restOf.large)
	if err := client.Flush(); err != nil {
		t.Fatal(err)
	}
	for range 100 { // the other end may have the buffer from the pool for a moment
		if runtime.GC(); buffer.Value() == nil {
			break
		}
	}
	if buffer.Value() != nil {
		t.Error("got the buffer in memory after the Flush")
	}
	runtime.KeepAlive(client)
}
