package rawpeer

import (
	"bytes"
	"net"
	"sync"
)

// Wire is a connection below the encryption. It keeps the first bytes that it reads, and can
// change what is written.
type Wire struct {
	net.Conn
	Max int // bytes that are kept

	mu   sync.Mutex
	in   []byte
	edit func([]byte) []byte // nil: nothing is changed
}

func (w *Wire) Read(b []byte) (int, error) {
	n, err := w.Conn.Read(b)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.in = append(w.in, b[:min(n, w.Max-len(w.in))]...)
	return n, err
}

func (w *Wire) Write(b []byte) (int, error) {
	w.mu.Lock()
	edit := w.edit
	w.mu.Unlock()
	if edit == nil {
		return w.Conn.Write(b)
	}
	if out := edit(b); len(out) > 0 {
		if _, err := w.Conn.Write(out); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

// Edit has f change what is written from now on. Of an empty result nothing is written.
func (w *Wire) Edit(f func([]byte) []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.edit = f
}

// EditOne has f change the n-th write, counted from 0, and no other. The bytes are a copy.
func (w *Wire) EditOne(n int, f func([]byte) []byte) {
	w.Edit(func(b []byte) []byte {
		if n--; n == -1 {
			return f(bytes.Clone(b))
		}
		return b
	})
}

// Received returns the bytes that are kept.
func (w *Wire) Received() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	return bytes.Clone(w.in)
}
