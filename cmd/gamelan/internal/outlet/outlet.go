// Package outlet writes to an output, and tells how much of it the reader has taken.
package outlet

import (
	"io"
	"os"
	"sync/atomic"
)

// Late is how many bytes the newest of a pipe or socket count as not taken, in bytes, where
// the system does not tell. It is the capacity of a pipe.
const Late = 64 << 10

// Outlet is an output that counts what is written. One goroutine writes; any may call Taken.
type Outlet struct {
	w       io.Writer
	file    *os.File // of a pipe or socket; nil: what is written is taken
	kind    os.FileMode
	written atomic.Int64
	taken   atomic.Int64
	ended   atomic.Bool
}

// New returns an Outlet that writes to w.
func New(w io.Writer) *Outlet {
	o := &Outlet{w: w}
	if f, ok := w.(*os.File); ok {
		if info, err := f.Stat(); err == nil {
			if o.kind = info.Mode() & (os.ModeNamedPipe | os.ModeSocket); o.kind != 0 {
				o.file = f
			}
		}
	}
	return o
}

// Write writes p, and counts what the output has accepted.
func (o *Outlet) Write(p []byte) (int, error) {
	n, err := o.w.Write(p)
	o.written.Add(int64(n))
	return n, err
}

// End says that nothing more will be written. Where the system does not tell what the
// reader has taken, everything counts as taken from then on.
func (o *Outlet) End() { o.ended.Store(true) }

// Taken returns how many of the written bytes the reader has taken. A byte in a file or on a
// terminal is taken when it is written, one in a pipe when it is read, and one in a TCP
// connection when the other side's system has it. Gone reports that the reader takes no
// more. The number is never too high, and is exact once nobody writes.
func (o *Outlet) Taken() (n int64, gone bool) {
	n = o.written.Load() // before the system is asked: what is written meanwhile counts as not taken
	if o.file != nil {
		left, exact, closed := unread(o.file, o.kind)
		switch {
		case exact:
			n -= left
		case closed || !o.ended.Load():
			n -= Late
		}
		gone = closed
	}
	for {
		before := o.taken.Load()
		if n <= before {
			return before, gone
		}
		if o.taken.CompareAndSwap(before, n) {
			return n, gone
		}
	}
}
