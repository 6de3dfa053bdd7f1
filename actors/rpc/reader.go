package rpc

import (
	"context"
	"sync"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/credit"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/frame"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
)

// frameReader reads the frames of one session. A read that was interrupted by a
// deadline is taken up by the next.
type frameReader struct {
	frames  *frame.Reader
	account *inboundCredit
	bounded func(time.Time) error // sets the end of a frame; nil: it is the caller's
	now     func() time.Time

	skips bool   // the rest of one that is too large
	frame bool   // one has begun
	large bool   // the account knows of it
	n     int    // its length
	buf   []byte // what is there of it
	held  int    // credit, of a frame of so many bytes; -1: none
}

// freeFrame is the length up to which a frame takes no credit: the sessions bound
// how many there are, and a wish to stop must get through while a request in work
// holds all credit of its peer.
const freeFrame = firstBuffer

// frameLimit is how long a frame that has begun may take, beside the time that its
// length takes at [frame.MinRate].
const frameLimit = time.Minute

// Buffers of calls come from a pool, so that an idle session holds none. One
// above keepBuffer is not kept; one below firstBuffer is not made.
const (
	firstBuffer = 2 << 10
	keepBuffer  = 512 << 10
	// wholeBuffer is how much of a large frame is allocated before its bytes
	// are there.
	wholeBuffer = 256 << 10
)

var buffers = sync.Pool{New: func() any { b := make([]byte, 0, firstBuffer); return &b }}

func getBuffer() []byte { return *buffers.Get().(*[]byte) }

func putBuffer(b []byte) {
	if cap(b) >= firstBuffer && cap(b) <= keepBuffer {
		b = b[:0]
		buffers.Put(&b)
	}
}

// newFrameReader reads a session. The account is that of all sessions of a peer
// with one side.
func newFrameReader(k *Calls, account *inboundCredit, s protocol.Stream) frameReader {
	return frameReader{
		frames:  frame.NewReader(s, rpc.MaxHandshake),
		account: account,
		now:     k.trunk.Now,
		held:    -1,
	}
}

// next reads a frame of at most most bytes. What it returns is good until free.
// Of a longer one it returns only the beginning, and ok is false.
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
			body = make([]byte, min(r.n, rpc.Room))
			return body, false, r.frames.Part(body) // Next skips the rest
		}
		r.frame = true
		if r.buf == nil {
			r.buf = getBuffer()
		}
		r.buf = r.buf[:0]
	}
	if r.held < 0 && r.n > freeFrame {
		if r.n > credit.Large && !r.large {
			r.large = true
			r.account.arrives()
		}
		if !r.account.TryTake(r.n) {
			if err := r.account.Take(ctx, r.n); err != nil {
				return nil, false, err
			}
		}
		r.held = r.n
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

// end is when a frame that has begun must be there.
func (r *frameReader) end() time.Time {
	return r.now().Add(frameLimit + time.Duration(r.n)*time.Second/frame.MinRate)
}

// body reads what is left of the frame. A large one is allocated as it comes.
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
	account *inboundCredit // nil: nothing is there
	buf     []byte
	held    int // -1: no credit
}

// detach takes the frame out.
func (r *frameReader) detach() heldFrame {
	b := heldFrame{r.account, r.buf, r.held}
	r.buf, r.held = nil, -1
	return b
}

// giveBack ends the use of the frame.
func (b *heldFrame) giveBack() {
	if b.account == nil {
		return
	}
	if b.held >= 0 {
		b.account.Return(b.held)
	}
	putBuffer(b.buf)
	*b = heldFrame{}
}

// free gives the credit of the frame back. The buffer stays for the next one.
func (r *frameReader) free() {
	r.arrived()
	if r.held >= 0 {
		r.account.Return(r.held)
		r.held = -1
	}
}

func (r *frameReader) arrived() {
	if r.large {
		r.large = false
		r.account.arrived()
	}
}

// drop gives up a frame that has begun: what is left of it is skipped.
func (r *frameReader) drop() {
	r.frame = false
	r.free()
}

// rest gives the buffer back until the next frame comes.
func (r *frameReader) rest() {
	if r.buf != nil && !r.frame {
		putBuffer(r.buf)
		r.buf = nil
	}
}

// release ends the reader; nothing may be reading.
func (r *frameReader) release() {
	r.frames.Release()
	r.free()
	r.buf = nil // a caller may still look at it
}
