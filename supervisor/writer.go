package supervisor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
)

// ErrWriterClosed reports a Write after CloseWrite or Close, or after the end of [Writer.Run].
var ErrWriterClosed = errors.New("supervisor: the writer is closed; nothing can follow")

// UnreadError reports that the other side reads too slowly for what is written. The stream is closed
// then, because bytes are missing. To go slower instead, a task calls [Writer.Room], and an actor
// looks at [Writer.Unwritten].
type UnreadError struct {
	Unwritten int // bytes that waited when a Write found no room
	Limit     int // of the writer
}

// Error says how much waited.
func (e *UnreadError) Error() string {
	return fmt.Sprintf("supervisor: the other side does not read: %d bytes wait, at most %d may; the stream is closed: write less, or wait for Writer.Room in a task", e.Unwritten, e.Limit)
}

// WriteCloser is what a [Writer] writes to, such as a stream.
type WriteCloser interface {
	io.WriteCloser
	CloseWrite() error // ends this side's half
}

// Writer writes to a stream in order, and its Write never waits: a task that runs [Writer.Run]
// waits for the stream. It is for actors:
//
//	w := supervisor.NewWriter(stream, 64<<10)
//	supervisor.Go(c, "write", w, w.Run)
//
// Any goroutine may call its methods, and only Room waits.
type Writer struct {
	to    WriteCloser
	limit int
	wake  chan struct{}

	mu      sync.Mutex
	buf     []byte
	writing int // bytes that Run has taken out of buf and is writing
	ended   bool
	err     error         // why nothing more can be written
	room    chan struct{} // closed when half of the limit is free, or err is set; nil: nobody waits
}

// NewWriter returns a writer for to, on which at most limit bytes wait. A longer Write has room when
// nothing else waits.
func NewWriter(to WriteCloser, limit int) *Writer {
	return &Writer{to: to, limit: limit, wake: make(chan struct{}, 1)}
}

// Write takes all of p, which it copies, or nothing. Without room it closes the stream and returns an
// *[UnreadError], and so does each Write from then on. It returns the stream's error when an earlier
// Write has failed there, and ErrWriterClosed after CloseWrite.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	if err := w.refuses(); err != nil {
		w.mu.Unlock()
		return 0, err
	}
	if n := w.unwritten(); n > 0 && n+len(p) > w.limit {
		err := &UnreadError{n, w.limit}
		w.fail(err)
		w.mu.Unlock()
		closeSafely(w.to)
		return 0, err
	}
	w.buf = append(w.buf, p...)
	w.mu.Unlock()
	w.signal()
	return len(p), nil
}

// CloseWrite ends this side's half after everything that was written. It returns what Write would.
func (w *Writer) CloseWrite() error {
	w.mu.Lock()
	err := w.refuses()
	w.ended = true
	w.mu.Unlock()
	w.signal()
	return err
}

// Close closes the stream. What waits is lost.
func (w *Writer) Close() error {
	w.mu.Lock()
	w.fail(ErrWriterClosed)
	w.mu.Unlock()
	return w.to.Close()
}

// Unwritten returns the bytes that wait for the stream.
func (w *Writer) Unwritten() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.unwritten()
}

// Err returns why nothing more can be written, or nil.
func (w *Writer) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// Room waits until half of the limit is free. It returns ctx's error, or that of the next Write. Only
// tasks call it, because an actor never waits.
func (w *Writer) Room(ctx context.Context) error {
	for {
		w.mu.Lock()
		if w.err != nil || w.unwritten() <= w.limit/2 {
			defer w.mu.Unlock()
			return w.err
		}
		if w.room == nil {
			w.room = make(chan struct{})
		}
		room := w.room
		w.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Run writes until CloseWrite, which it carries out, or until an error, which it returns. It is the
// function of one task, whose closer is the writer.
func (w *Writer) Run(ctx context.Context) error {
	err := w.run(ctx)
	w.mu.Lock()
	w.fail(cmp.Or(err, ErrWriterClosed))
	w.mu.Unlock()
	return err
}

func (w *Writer) run(ctx context.Context) error {
	for {
		w.mu.Lock()
		p, ended, err := w.buf, w.ended, w.err
		w.buf, w.writing = nil, len(p)
		w.mu.Unlock()
		switch {
		case err != nil:
			return err
		case len(p) > 0:
			if _, err := w.to.Write(p); err != nil {
				return cmp.Or(w.Err(), err) // an UnreadError has closed the stream
			}
			w.mu.Lock()
			w.writing = 0
			if w.unwritten() <= w.limit/2 {
				w.wakeRoom()
			}
			w.mu.Unlock()
		case ended:
			return w.to.CloseWrite()
		default:
			select {
			case <-w.wake:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}

// These are called with the lock held.

func (w *Writer) unwritten() int { return len(w.buf) + w.writing }

func (w *Writer) refuses() error {
	if w.err == nil && w.ended {
		return ErrWriterClosed
	}
	return w.err
}

func (w *Writer) fail(err error) {
	if w.err == nil {
		w.err, w.buf = err, nil
	}
	w.wakeRoom()
	w.signal()
}

func (w *Writer) wakeRoom() {
	if w.room != nil {
		close(w.room)
		w.room = nil
	}
}

func (w *Writer) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}
