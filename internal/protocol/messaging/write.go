package messaging

import (
	"errors"
	"io"
	"sync"

	"github.com/gamelan-p2p/gamelan/internal/protocol/frame"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// pieceSize is the greatest number of bytes of one Write: one frame of the multiplexer, which takes
// up to 65,507 (spec: comms 5.5). Other substreams wait for one piece at most. A message of 64 KiB is
// two: smaller pieces cost more turns of the peer's reader, and Tari's takes larger ones more slowly.
const pieceSize = 33 << 10

var pieces = sync.Pool{New: func() any { return new([pieceSize]byte) }}

// WriteFrames writes the bodies as frames, in order, with as few calls of Write as
// possible, each of at most 33 KiB. On an error, started is the number of frames that
// may have been sent in part; nothing of the others was sent.
func WriteFrames[T any](w io.Writer, entries []Entry[T]) (started int, err error) {
	p := pieces.Get().(*[pieceSize]byte)
	defer pieces.Put(p)
	buf := p[:0]
	flush := func(upTo int) error {
		if len(buf) == 0 {
			return nil
		}
		_, err := w.Write(buf)
		buf = buf[:0]
		if !errors.Is(err, protocol.ErrUnsent) {
			started = upTo
		}
		return err
	}
	for i, e := range entries {
		if len(buf)+frame.HeaderLen > pieceSize {
			if err := flush(i); err != nil {
				return started, err
			}
		}
		buf = frame.AppendHeader(buf, len(e.Body))
		for rest := e.Body; len(rest) > 0; {
			n := copy(p[len(buf):], rest)
			buf, rest = p[:len(buf)+n], rest[n:]
			if len(buf) == pieceSize {
				if err := flush(i + 1); err != nil {
					return started, err
				}
			}
		}
	}
	if err := flush(len(entries)); err != nil {
		return started, err
	}
	return len(entries), nil
}
