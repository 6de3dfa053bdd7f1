package noise

import "sync"

const (
	// readBuffer is the size of the buffer that an idle connection holds. Larger
	// frames are read into a borrowed buffer; a larger readBuffer gained nothing
	// measurable.
	readBuffer = 2 << 10

	// smallFrame is the largest frame that is written from a small buffer.
	smallFrame = 4 << 10
)

// largeBuffer holds the largest frame.
type largeBuffer [headerLen + maxMessage]byte

// smallBuffer holds most frames.
type smallBuffer [smallFrame]byte

var (
	largePool = sync.Pool{New: func() any { return new(largeBuffer) }}
	smallPool = sync.Pool{New: func() any { return new(smallBuffer) }}
)

func takeLarge() *largeBuffer  { return largePool.Get().(*largeBuffer) }
func giveLarge(b *largeBuffer) { largePool.Put(b) }

// frameBuffer is a borrowed buffer for one frame to be written.
type frameBuffer struct {
	small *smallBuffer
	large *largeBuffer
}

// takeFrame borrows a buffer for a frame of n bytes, header included.
func takeFrame(n int) frameBuffer {
	if n <= smallFrame {
		return frameBuffer{small: smallPool.Get().(*smallBuffer)}
	}
	return frameBuffer{large: takeLarge()}
}

// bytes returns the buffer with length 0.
func (f frameBuffer) bytes() []byte {
	if f.small != nil {
		return f.small[:0]
	}
	return f.large[:0]
}

// give returns the buffer to its pool.
func (f frameBuffer) give() {
	if f.small != nil {
		smallPool.Put(f.small)
		return
	}
	giveLarge(f.large)
}
