package frame

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
)

// Sizes of the two buffers: primes a little below 2 KiB and 32 KiB. After a read
// that fills its buffer the reader expects more bytes. Senders often write powers of
// two, so a burst seldom ends exactly at the end of such a buffer.
const (
	smallLen = 2039
	largeLen = 32749
)

// emptyReads is how many reads in a row may return neither bytes nor error.
const emptyReads = 100

// ErrReleased reports the use of a [Reader] after its Release.
var ErrReleased = errors.New("frame: reader was released")

var (
	smallBuffers = sync.Pool{New: func() any { return new([smallLen]byte) }}
	largeBuffers = sync.Pool{New: func() any { return new([largeLen]byte) }}
)

// Reader reads frames from a byte stream: [Reader.Next], then [Reader.Body],
// and so on. It is not safe for use by several goroutines at once.
//
// It reads ahead into a buffer of 2 KiB, or of 32 KiB while reads fill their buffer;
// both come from a pool. It returns all bytes that arrived before it returns a read
// error, even bytes that the source returns after the error. After that it returns the
// error for ever.
type Reader struct {
	src   io.Reader
	buf   []byte // buf[off:end] was read and not returned
	off   int
	end   int
	left  int    // bytes of the announced payload not returned yet
	limit uint32 // greatest payload

	small *[smallLen]byte // at most one of small and large is not nil: the array of buf
	large *[largeLen]byte
	full  bool  // the last read filled its buffer
	err   error // first error of the source
	ended bool  // the source has nothing more
	fatal error // error that Next returns for ever
}

// NewReader returns a reader of frames with payloads of at most limit bytes.
func NewReader(r io.Reader, limit int) *Reader {
	if limit < 0 || int64(limit) > 1<<32-1 {
		panic(fmt.Sprintf("frame: a limit of %d bytes", limit))
	}
	return &Reader{src: r, limit: uint32(limit)}
}

// Next reads the header of the next frame and returns the length of its
// payload. It skips the unread rest of the last payload. It returns
// [io.EOF] if the stream ends between two frames, [io.ErrUnexpectedEOF] if
// it ends inside one, and [ErrTooLong] for a length above the limit; it reads
// nothing of such a payload.
func (r *Reader) Next() (int, error) {
	if r.left == 0 && r.end-r.off >= HeaderLen {
		if n := binary.BigEndian.Uint32(r.buf[r.off:]); n <= r.limit {
			r.off += HeaderLen
			r.left = int(n)
			return int(n), nil
		}
	}
	return r.next()
}

func (r *Reader) next() (int, error) {
	if err := r.Await(); err != nil {
		return 0, err
	}
	n := binary.BigEndian.Uint32(r.buf[r.off:])
	if n > r.limit {
		r.fatal = fmt.Errorf("%w: %d bytes announced, at most %d", ErrTooLong, n, r.limit)
		return 0, r.fatal
	}
	r.off += HeaderLen
	r.left = int(n)
	return int(n), nil
}

// Await waits for the header of the next frame, so that Next does not wait. It skips the unread
// rest of the last payload. Its errors are those of Next.
func (r *Reader) Await() error {
	if r.fatal != nil {
		return r.fatal
	}
	for r.left > 0 {
		if r.off == r.end && !r.fill() {
			return r.fail("skip payload", true)
		}
		n := min(r.left, r.end-r.off)
		r.off += n
		r.left -= n
	}
	for r.end-r.off < HeaderLen {
		if !r.fill() {
			return r.fail("read header", r.end > r.off)
		}
	}
	return nil
}

// Body fills dst with the payload that Next announced. It panics unless dst has the
// length that Next returned. It returns [io.ErrUnexpectedEOF] if the stream ends
// first.
func (r *Reader) Body(dst []byte) error {
	if len(dst) != r.left {
		panic(fmt.Sprintf("frame: body of %d bytes wanted, %d announced", len(dst), r.left))
	}
	return r.Part(dst)
}

// Part fills dst with the next bytes of the payload that Next announced. It is for
// callers that do not want to allocate the whole payload before it has arrived. It
// panics if the payload has fewer bytes left. Its errors are those of Body.
func (r *Reader) Part(dst []byte) error {
	if len(dst) > r.left {
		panic(fmt.Sprintf("frame: %d bytes of a body wanted, %d left", len(dst), r.left))
	}
	if r.end-r.off >= len(dst) {
		copy(dst, r.buf[r.off:])
		r.off += len(dst)
		r.left -= len(dst)
		return nil
	}
	return r.body(dst)
}

func (r *Reader) body(dst []byte) error {
	if r.fatal != nil {
		return r.fatal
	}
	for len(dst) > 0 {
		var n int
		switch {
		case r.off < r.end:
			n = copy(dst, r.buf[r.off:r.end])
			r.off += n
		case len(dst) >= largeLen: // read directly into dst
			if n = r.read(dst); n == 0 {
				return r.fail("read payload", true)
			}
			r.full = false // nothing is known of the stream after this payload
		case !r.fill():
			return r.fail("read payload", true)
		}
		dst = dst[n:]
		r.left -= n
	}
	return nil
}

// SetLimit sets the greatest payload of the next frames.
func (r *Reader) SetLimit(limit int) {
	if limit < 0 || int64(limit) > 1<<32-1 {
		panic(fmt.Sprintf("frame: a limit of %d bytes", limit))
	}
	r.limit = uint32(limit)
}

// Left returns how many bytes of the announced payload were not returned yet.
func (r *Reader) Left() int { return r.left }

// Resume lets reading continue after an error of the source that was not its end,
// such as a deadline that has been extended since. Next and Part continue where they
// stopped. A Part that failed has filled in all bytes that Left does not count.
func (r *Reader) Resume() {
	if r.err == nil || r.err == io.EOF || r.err == ErrReleased {
		return
	}
	r.err, r.ended, r.fatal = nil, false, nil
}

// Buffered returns how many bytes were read ahead and not returned yet.
func (r *Reader) Buffered() int { return r.end - r.off }

// Ready reports whether all of the next frame is buffered, so that neither Next nor
// Body would wait.
func (r *Reader) Ready() bool {
	have := r.end - r.off - r.left - HeaderLen
	return have >= 0 && binary.BigEndian.Uint32(r.buf[r.off+r.left:]) <= uint32(have)
}

// Peek returns what is buffered, from the next frame on, for [Cut]; nil inside a frame. It is
// valid until the next call.
func (r *Reader) Peek() []byte {
	if r.left > 0 {
		return nil
	}
	return r.buf[r.off:r.end]
}

// Skip drops the first n bytes of Peek: whole frames.
func (r *Reader) Skip(n int) { r.off += n }

// Rest gives the buffers back to their pool until the next read, unless they hold bytes.
func (r *Reader) Rest() {
	if r.off == r.end {
		r.swap(false, false)
	}
}

// Release gives the buffers back to their pool. The reader must not be used after it.
func (r *Reader) Release() {
	r.fatal = ErrReleased
	r.err, r.ended = ErrReleased, true
	r.left = 0
	r.swap(false, false)
}

// fill reads more bytes behind those in the buffer, which are fewer than a header
// has. It returns false when no more bytes come; r.err is the reason.
func (r *Reader) fill() bool {
	if r.ended {
		return false
	}
	var carry [HeaderLen - 1]byte // at most a part of a header
	kept := copy(carry[:], r.buf[r.off:r.end])
	r.swap(!r.full, r.full)
	r.end = copy(r.buf, carry[:kept])
	n := r.read(r.buf[r.end:])
	r.end += n
	r.full = r.end == len(r.buf)
	return n > 0
}

// swap makes buf an empty buffer of the wanted size, or none.
func (r *Reader) swap(small, large bool) {
	r.off, r.end = 0, 0
	if r.small != nil && !small {
		smallBuffers.Put(r.small)
		r.small, r.buf = nil, nil
	}
	if r.large != nil && !large {
		largeBuffers.Put(r.large)
		r.large, r.buf = nil, nil
	}
	if small && r.small == nil {
		r.small = smallBuffers.Get().(*[smallLen]byte)
		r.buf = r.small[:]
	}
	if large && r.large == nil {
		r.large = largeBuffers.Get().(*[largeLen]byte)
		r.buf = r.large[:]
	}
}

// read reads at least one byte into p, or returns 0 when the source has ended. After
// an error it goes on while later reads still return bytes: a multiplexer may report
// the loss of its connection before it returns the last bytes from it.
func (r *Reader) read(p []byte) int {
	for range emptyReads {
		if r.ended {
			return 0
		}
		n, err := r.src.Read(p)
		if err != nil {
			r.ended = err == io.EOF || n == 0 && r.err != nil
			if r.err == nil {
				r.err = err
			}
		}
		if n > 0 {
			return n
		}
	}
	r.ended = true
	if r.err == nil {
		r.err = io.ErrNoProgress
	}
	return 0
}

// fail returns the error for a stream that has ended, inside a frame or not.
func (r *Reader) fail(what string, inside bool) error {
	switch {
	case r.err == io.EOF && inside:
		r.fatal = io.ErrUnexpectedEOF
	case r.err == io.EOF:
		r.fatal = io.EOF
	default:
		r.fatal = fmt.Errorf("frame: %s: %w", what, r.err)
	}
	return r.fatal
}
