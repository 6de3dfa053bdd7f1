package mux

import "sync"

// chunk is one write to the connection: whole frames in a borrowed buffer.
type chunk struct {
	b    []byte
	from any // *frameBuffer, *smallBuffer or nil
}

type (
	// frameBuffer holds the largest frame that leaves.
	frameBuffer [headerLen + MaxPiece]byte

	// smallBuffer holds a few short frames: on a connection that stands still, often only
	// an acknowledgement waits.
	smallBuffer [512]byte
)

var (
	frameBuffers = sync.Pool{New: func() any { return new(frameBuffer) }}
	smallBuffers = sync.Pool{New: func() any { return new(smallBuffer) }}
)

// newChunk returns a chunk with room for n bytes, and for more if it is not the first of its
// batch.
func newChunk(n int, first bool) chunk {
	switch {
	case first && n <= len(smallBuffer{})/4:
		buf := smallBuffers.Get().(*smallBuffer)
		return chunk{buf[:0], buf}
	case n <= len(frameBuffer{}):
		buf := frameBuffers.Get().(*frameBuffer)
		return chunk{buf[:0], buf}
	}
	return chunk{b: make([]byte, 0, n)}
}

// room returns how many more bytes fit.
func (c *chunk) room() int { return cap(c.b) - len(c.b) }

func (c *chunk) add(h *header, body []byte) { c.b = append(append(c.b, h[:]...), body...) }

// give gives the buffer back.
func (c *chunk) give() {
	switch buf := c.from.(type) {
	case *frameBuffer:
		frameBuffers.Put(buf)
	case *smallBuffer:
		smallBuffers.Put(buf)
	}
	*c = chunk{}
}
