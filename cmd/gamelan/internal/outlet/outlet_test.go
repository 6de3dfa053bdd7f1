package outlet_test

import (
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/outlet"
)

// TestTaken: what is in a file or a buffer is taken, and what lies in a pipe or a socket is not.
func TestTaken(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for name, w := range map[string]io.Writer{"a buffer": new(bytes.Buffer), "a file": file} {
		o := outlet.New(w)
		write(t, o, 1000)
		want(t, name, o, 1000, false)
	}
}

// TestTakenFromAPipe: the bytes that were read are taken, also after the end of the reader.
func TestTakenFromAPipe(t *testing.T) {
	for _, left := range []int{0, 400} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		o := outlet.New(w)
		write(t, o, 1000)
		if !tells {
			want(t, "a pipe", o, 0, false)
			write(t, o, 2*outlet.Late-1000, r)
			want(t, "a pipe", o, outlet.Late, false)
			o.End()
			want(t, "a pipe at the end", o, 2*outlet.Late, false)
			r.Close()
			return
		}
		want(t, "a pipe that nobody has read", o, 0, false)
		read(t, r, 100)
		want(t, "a pipe", o, 100, false)
		o.End()
		want(t, "a pipe at the end", o, 100, false)
		read(t, r, 900-left)
		r.Close()
		want(t, "a pipe without a reader", o, int64(1000-left), true)
		if n, err := o.Write([]byte("x")); n != 0 || err == nil {
			t.Errorf("got %d bytes written, %v, want an error", n, err)
		}
		want(t, "a pipe without a reader, written to", o, int64(1000-left), true)
	}
}

// TestTakenFromASocket: what the reader of a Unix socket has left when it ends is not taken.
func TestTakenFromASocket(t *testing.T) {
	if !tells {
		t.Skip("this system does not tell")
	}
	for _, left := range []int{0, 400} {
		w, r := socket(t)
		o := outlet.New(w)
		write(t, o, 600)
		want(t, "a socket that nobody has read", o, 0, false)
		read(t, r, 600)
		want(t, "a socket", o, 600, false)
		write(t, o, 400)
		read(t, r, 400-left)
		if left == 0 {
			want(t, "a socket", o, 1000, false)
		}
		r.Close()
		want(t, "a socket without a reader", o, int64(1000-left), true)
	}
}

// tells is whether the system tells what a reader has taken.
const tells = runtime.GOOS == "linux"

// write writes n bytes. A reader, if there is one, reads them meanwhile.
func write(t *testing.T, o *outlet.Outlet, n int, r ...io.Reader) {
	t.Helper()
	for _, r := range r {
		done := make(chan struct{})
		defer func() { <-done }()
		go func() { io.CopyN(io.Discard, r, int64(n)); close(done) }()
	}
	if got, err := o.Write(make([]byte, n)); got != n || err != nil {
		t.Fatalf("got %d, %v, want %d bytes written", got, err, n)
	}
}

func read(t *testing.T, r io.Reader, n int) {
	t.Helper()
	if _, err := io.CopyN(io.Discard, io.LimitReader(r, int64(n)), int64(n)); err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, what string, o *outlet.Outlet, n int64, gone bool) {
	t.Helper()
	if gotN, gotGone := o.Taken(); gotN != n || gotGone != gone {
		t.Errorf("%s: got %d taken, gone %v, want %d, %v", what, gotN, gotGone, n, gone)
	}
}

// socket returns the two sides of a Unix socket.
func socket(t *testing.T) (*os.File, net.Conn) {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	f, err := c.(*net.UnixConn).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	r, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	c.Close() // f is the only one of this side
	return f, r
}
