package rpcpart

import (
	"context"
	"sync"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/credit"
	"github.com/gamelan-p2p/gamelan/internal/protocol/frame"
	"github.com/gamelan-p2p/gamelan/internal/protocol/onecall"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/transport"
)

// frameReader reads the frames of one session. After a read that a deadline has
// interrupted, the next read continues the same frame.
type frameReader struct {
	frames  *frame.Reader
	account *inboundCredit
	bounded func(time.Time) error // sets the read deadline of a frame; nil: the caller sets it
	now     func() time.Time

	uncharged bool // frames are short, and take no credit

	skips    bool   // the rest of a frame that is too large has to be skipped
	frame    bool   // a frame has begun
	large    bool   // the account was told that the frame is large
	n        int    // length of the frame
	buf      []byte // bytes of the frame that have arrived
	credited int    // the reader holds credit for a frame of this length; -1: none
}

// freeFrame is the greatest length of a frame that takes no credit. The number of sessions
// bounds how many such frames there are. A request to stop a call must arrive even while
// the running request holds all credit of the peer.
const freeFrame = firstBuffer

// frameLimit is how long a frame that has begun may take, in addition to the time that its
// length takes at [frame.MinRate].
const frameLimit = time.Minute

// Buffers of calls come from a pool, so that an idle session holds none. A buffer above
// keepBuffer does not go back to the pool; a new buffer has firstBuffer bytes.
const (
	firstBuffer = 2 << 10
	keepBuffer  = 512 << 10
	// wholeBuffer is the least size of a buffer that has to grow. It then doubles as
	// the bytes of the frame arrive.
	wholeBuffer = 256 << 10
)

var buffers = bufferPool{size: firstBuffer}

// largeBuffers has the buffers of more than smallBuffer bytes.
var largeBuffers bufferPool

// bufferPool keeps buffers, and what it keeps them in, so that nothing is allocated for either.
type bufferPool struct {
	size         int // of a new buffer
	full, spares sync.Pool
}

// get returns a buffer; nil if there is none and size is 0.
func (p *bufferPool) get() (b []byte) {
	if of, ok := p.full.Get().(*[]byte); ok {
		b, *of = *of, nil
		p.spares.Put(of)
	} else if p.size > 0 {
		b = make([]byte, 0, p.size)
	}
	return b
}

func (p *bufferPool) put(b []byte) {
	of, ok := p.spares.Get().(*[]byte)
	if !ok {
		of = new([]byte)
	}
	*of = b
	p.full.Put(of)
}

const smallBuffer = 16 << 10

func getBuffer() []byte { return buffers.get() }

// getBufferOf returns a buffer for n bytes that are about to come.
func getBufferOf(n int) []byte {
	if n <= smallBuffer {
		return getBuffer()
	}
	if b := largeBuffers.get(); cap(b) >= n {
		return b
	}
	return make([]byte, 0, n)
}

func putBuffer(b []byte) {
	switch b = b[:0]; {
	case cap(b) < firstBuffer, cap(b) > keepBuffer:
	case cap(b) > smallBuffer:
		largeBuffers.put(b)
	default:
		buffers.put(b)
	}
}

// newFrameReader returns the reader of a session. All sessions of a peer with one side
// share the account.
func newFrameReader(k *Calls, account *inboundCredit, s protocol.Stream) frameReader {
	return frameReader{
		frames:   frame.NewReader(s, onecall.MaxHandshake),
		account:  account,
		now:      k.trunk.Now,
		credited: -1,
	}
}

// next reads a frame of at most most bytes. body is valid until the next call of next or
// rest. Of a longer frame next returns only the beginning, and ok is false.
func (r *frameReader) next(ctx context.Context, most int) (body []byte, ok bool, err error) {
	if !r.frame {
		if r.n, err = r.frames.Next(); err != nil {
			return nil, false, err
		}
		if r.skips {
			r.skips = false
			r.bounded(time.Time{})
		}
		if r.n > most {
			if r.skips = r.bounded != nil; r.skips {
				r.bounded(r.end())
			}
			body = make([]byte, min(r.n, onecall.Room))
			return body, false, r.frames.Part(body) // frames.Next skips the rest
		}
		r.frame = true
		if r.buf == nil && r.uncharged {
			r.buf = getBufferOf(r.n)
		} else if r.buf == nil {
			r.buf = getBuffer()
		}
		r.buf = r.buf[:0]
	}
	if r.credited < 0 && r.n > freeFrame && !r.uncharged {
		if r.n > credit.Large && !r.large {
			r.large = true
			r.account.arrives()
		}
		if !r.account.TryTake(r.n) {
			if err := r.account.Take(ctx, r.n); err != nil {
				return nil, false, err
			}
		}
		r.credited = r.n
	}
	slow := r.bounded != nil && r.n > r.frames.Buffered()
	if slow {
		r.bounded(r.end())
	}
	if err := r.body(); err != nil {
		return nil, false, err
	}
	if slow {
		r.bounded(time.Time{})
	}
	r.arrived()
	r.frame = false
	return r.buf, true, nil
}

// end returns the time by which the frame that has begun must have arrived.
func (r *frameReader) end() time.Time {
	return r.now().Add(frameLimit + time.Duration(r.n)*time.Second/frame.MinRate)
}

// body reads the rest of the frame. Memory for a large frame is allocated as its bytes
// arrive.
func (r *frameReader) body() error {
	for len(r.buf) < r.n {
		have := len(r.buf)
		if have == cap(r.buf) {
			grown := make([]byte, have, min(r.n, max(2*have, wholeBuffer)))
			copy(grown, r.buf)
			r.buf = grown
		}
		part := r.buf[have:min(cap(r.buf), r.n)]
		left := r.frames.Left()
		err := r.frames.Part(part)
		r.buf = r.buf[:have+left-r.frames.Left()]
		if err != nil {
			return err
		}
	}
	return nil
}

// heldFrame is a frame that was taken out of its reader, with its credit.
type heldFrame struct {
	account  *inboundCredit // nil: there is no frame
	buf      []byte
	credited int // -1: no credit
}

// detach takes the frame out of the reader, with its buffer and credit.
func (r *frameReader) detach() heldFrame {
	b := heldFrame{r.account, r.buf, r.credited}
	r.buf, r.credited = nil, -1
	return b
}

// giveBack gives back the frame's buffer and credit.
func (b *heldFrame) giveBack() {
	if b.account == nil {
		return
	}
	if b.credited >= 0 {
		b.account.Return(b.credited)
	}
	putBuffer(b.buf)
	*b = heldFrame{}
}

// free gives back the credit of the frame. The buffer stays for the next frame.
func (r *frameReader) free() {
	r.arrived()
	if r.credited >= 0 {
		r.account.Return(r.credited)
		r.credited = -1
	}
}

func (r *frameReader) arrived() {
	if r.large {
		r.large = false
		r.account.arrived()
	}
}

// drop gives up a frame that has begun. The next call of next skips the rest of it.
func (r *frameReader) drop() {
	r.frame = false
	r.free()
}

// rest gives the buffers back to their pools, unless a frame has begun.
func (r *frameReader) rest() {
	r.frames.Rest()
	if r.buf != nil && !r.frame {
		putBuffer(r.buf)
		r.buf = nil
	}
}

// nothing reports whether a read of the next header was interrupted before a byte came.
func (r *frameReader) nothing(err error) bool {
	return transport.IsTimeout(err) && r.frames.Buffered() == 0
}

// release ends the reader and gives back its credit. No read may be under way.
func (r *frameReader) release() {
	r.frames.Release()
	r.free()
	r.buf = nil // not to the pool: a caller may still use the body
}
