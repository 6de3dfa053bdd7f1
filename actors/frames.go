package actors

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/credit"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Limits of one [Substream].
const (
	MaxUnwritten = 256 << 10 // bytes that may wait to be written
	MaxUnhandled = 16        // frames that wait for the actor
)

// Frame is one frame of a peer, as the actor that called [ReadFrames] receives it. It holds credit of
// the peer until Receive returns, or longer if Keep was called. A panic on it counts against the peer.
type Frame struct {
	*Substream // that it came on: Write answers
	Body       []byte
	Credit     Credit // nil: it holds nothing

	place *credit.Permit // among the frames of the substream that wait
}

// FramesEnded follows the last frame of a substream. Without Err the peer has sent all its frames:
// CloseWrite, once the answers are written. With Err the substream is closed. The message closes the
// substream if the actor does not handle it.
type FramesEnded struct {
	*Substream
	Err error // of the function that reads, or an *[supervisor.UnreadError]
}

// Finish gives the credit back; the mailbox calls it when Receive has returned.
func (m Frame) Finish() {
	m.place.Finish()
	if m.Credit != nil {
		m.Credit.Finish()
	}
}

// Discard gives the credit back if no actor has handled the frame.
func (m Frame) Discard() {
	m.place.Discard()
	if m.Credit != nil {
		m.Credit.Discard()
	}
}

// Keep holds the credit after Receive has returned, as [Received.Keep] does.
func (m Frame) Keep() (release func()) {
	if m.Credit == nil {
		return func() {}
	}
	return m.Credit.Keep()
}

// Discard closes the substream: no actor handles its end.
func (m FramesEnded) Discard() { _ = m.Close() }

// Substream is a substream whose frames an actor receives. It belongs to the actor's incarnation, and
// closes when that ends. None of its methods waits, and any goroutine may call them.
type Substream struct {
	Origin
	Key      identity.PublicKey
	Protocol protocol.ID

	stream protocol.Stream
	writer *supervisor.Writer
}

// Write writes p behind what was written before. It copies p. If the peer does not read and
// [MaxUnwritten] bytes would wait, it closes the substream and returns an *[supervisor.UnreadError].
// A longer p is taken when nothing else waits.
func (s *Substream) Write(p []byte) (int, error) { return s.writer.Write(p) }

// CloseWrite ends this side's half behind what was written. The substream closes when the peer's
// frames have ended as well.
func (s *Substream) CloseWrite() error { return s.writer.CloseWrite() }

// Unwritten returns how many bytes wait.
func (s *Substream) Unwritten() int { return s.writer.Unwritten() }

// Close resets the substream, unless its half has ended. What waits is lost.
func (s *Substream) Close() error {
	_ = s.writer.Close()
	return s.stream.Close()
}

// ReadFrames takes the stream of m and gives it to two tasks of the actor. One runs read, which finds
// the frames in the bytes of the peer. The actor receives each as a [Frame], and then [FramesEnded].
// The other task writes what the actor gives to [Substream.Write].
//
// Credits bound the frames that wait for the actor, and so does [MaxUnhandled]. While the peer does not
// read the answers, and half of [MaxUnwritten] waits, no frame goes to the actor: one that writes at most
// 8 KiB for each frame, in its turn, never gets an UnreadError. When read returns nil or [io.EOF], the frames
// have ended; any other error closes the substream. The content of a frame is decoded by the actor: a
// panic of read counts against nobody. ReadFrames returns nil if the stream was taken before.
func ReadFrames(c actor.Context, m SubstreamOpened, credits *Credits, read func(context.Context, *FrameReader) error) *Substream {
	stream, ok := m.Stream.Take()
	if !ok {
		return nil
	}
	var open atomic.Int32
	open.Store(2)
	places := credit.NewBudget(MaxUnhandled * credit.Cost(0))
	in, out := &half{Stream: stream, open: &open}, &half{Stream: stream, open: &open}
	s := &Substream{Origin{m.Peer, m.Conn.ID}, m.Key, m.Protocol, stream, supervisor.NewWriter(out, MaxUnwritten)}
	supervisor.GoReport(c, fmt.Sprint("write to ", m.Peer), s.writer, s.writer.Run, func(error) any { return nil })
	supervisor.GoReport(c, fmt.Sprint("read from ", m.Peer), in, func(ctx context.Context) error {
		err := read(ctx, &FrameReader{ctx, s, credits, places.Account(places.Limit())})
		if err == nil || err == io.EOF {
			in.over.Store(true)
			return nil
		}
		if unread, ok := errors.AsType[*supervisor.UnreadError](s.writer.Err()); ok {
			return unread
		}
		return err
	}, func(err error) any { return FramesEnded{s, err} })
	return s
}

// half is what one task has of a stream. The half that ends last closes the stream in order, and one
// that fails resets it.
type half struct {
	protocol.Stream
	open *atomic.Int32 // halves that have not ended
	over atomic.Bool   // it has ended in order
}

// CloseWrite ends the writing half.
func (h *half) CloseWrite() error {
	err := h.Stream.CloseWrite()
	h.over.Store(err == nil)
	return err
}

// Close is called when the task ends, or its incarnation.
func (h *half) Close() error {
	if h.over.Load() && h.open.Add(-1) > 0 {
		return nil
	}
	return h.Stream.Close()
}

// FrameReader is what the function of [ReadFrames] reads from, and delivers to. The function alone
// uses it.
type FrameReader struct {
	ctx     context.Context
	on      *Substream
	credits *Credits
	places  *credit.Account // of frames that wait
}

// Read reads bytes of the peer; [io.EOF] says that it has ended its half.
func (r *FrameReader) Read(p []byte) (int, error) { return r.on.stream.Read(p) }

// SetReadDeadline is that of the stream. A peer that sends a frame slowly holds credit for all of it in
// [FrameReader.DeliverFrom]: a deadline ends that.
func (r *FrameReader) SetReadDeadline(t time.Time) error { return r.on.stream.SetReadDeadline(t) }

// Deliver sends a copy of body to the actor, after it has waited for credit. It is for frames that end
// with a mark, such as lines: the function bounds their length itself, as [bufio.Scanner] does. The
// function returns the error.
func (r *FrameReader) Deliver(body []byte) error {
	m, err := r.take(len(body))
	if err == nil {
		copy(m.Body, body)
		supervisor.Tell(r.ctx, m)
	}
	return err
}

// DeliverFrom reads a frame of n bytes from b, and sends it to the actor. It takes memory for the frame
// when it has credit. It is for frames that begin with their length: b is a buffer of this
// FrameReader, from which the function has read n. The function returns the error.
func (r *FrameReader) DeliverFrom(b io.Reader, n int) error {
	m, err := r.take(n)
	if err != nil {
		return err
	}
	if _, err := io.ReadFull(b, m.Body); err != nil {
		m.Discard()
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	supervisor.Tell(r.ctx, m)
	return nil
}

// take waits until a frame of n bytes may come.
func (r *FrameReader) take(n int) (m Frame, err error) {
	if err := r.places.Take(r.ctx, 0); err != nil {
		return m, err
	}
	m.place = new(credit.Permit)
	m.place.Init(r.places, 0)
	if err = r.on.writer.Room(r.ctx); err == nil || errors.Is(err, supervisor.ErrWriterClosed) {
		m.Credit, err = r.credits.Take(r.ctx, r.on.Peer, n)
	}
	if err != nil {
		m.place.Discard()
		return m, err
	}
	m.Substream, m.Body = r.on, make([]byte, n)
	return m, nil
}
