package client

import (
	"io"
	"sync/atomic"
)

// Input holds the messages to send: one a line, or one in all. It counts what was read of
// them.
type Input struct {
	r       io.Reader
	whole   bool
	lines   atomic.Uint64
	partial atomic.Bool // bytes were read after the last line feed
}

// NewInput returns the messages in r: each line is one, or, with whole, all of it.
func NewInput(r io.Reader, whole bool) *Input { return &Input{r: r, whole: whole} }

func (in *Input) Read(p []byte) (int, error) {
	n, err := in.r.Read(p)
	for _, c := range p[:n] {
		if c == '\n' {
			in.lines.Add(1)
		}
	}
	if n > 0 {
		in.partial.Store(p[n-1] != '\n')
	}
	return n, err
}

// Begun returns how many messages have been read, including one that has begun. It may be
// called while another goroutine reads.
func (in *Input) Begun() uint64 {
	n := in.lines.Load()
	switch {
	case in.whole:
		return 1
	case in.partial.Load():
		return n + 1
	}
	return n
}

// mediaType tells the node how the messages are separated.
func (in *Input) mediaType() string {
	if in.whole {
		return "application/octet-stream"
	}
	return "text/plain"
}
