package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"strconv"
	"time"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// Sink receives the messages of a listening client. They are acknowledged when they are
// taken.
type Sink interface {
	Write(m *models.Message) error
	Flush() error
	// Written returns how many bytes all messages had, also those that are not flushed.
	Written() int64
	// Taken returns how many of these bytes the reader has taken, and whether it is gone. Any
	// goroutine may call it.
	Taken() (n int64, gone bool)
	// End says that nothing more will be written, and that nothing failed.
	End()
}

// Listen writes messages to out and acknowledges those that its reader takes: count of them,
// or, if count is 0, until ctx ends. With all it copies all messages and acknowledges none.
// The error is syscall.EPIPE if the reader has ended. The node has then the messages back
// that the reader has not taken.
func (c *Client) Listen(ctx context.Context, count int, all bool, out Sink) error {
	name := rand.Text()
	q := url.Values{"count": {strconv.Itoa(count)}, "all": {strconv.FormatBool(all)}, "name": {name}}
	res, err := c.get(ctx, "/v1/messages?"+q.Encode())
	if err != nil {
		return err
	}
	defer res.Body.Close()
	var acks *acknowledger
	if !all {
		acks = newAcknowledger(ctx, c, out, func() { res.Body.Close() })
	}
	err = copyMessages(res.Body, count, out, acks)
	if acks != nil { // also for messages written before an error
		if err == nil {
			out.End()
		}
		_, broken := errors.AsType[*ownError](err)
		if err = errors.Join(err, acks.end(ctx, broken)); err != nil {
			res.Body.Close()
			c.handBack(ctx, name)
		}
	}
	return c.streamed(ctx, err, true)
}

// streamed returns the failure of a stream that ended with err. ended says that its last
// line has come.
func (c *Client) streamed(ctx context.Context, err error, ended bool) error {
	if err == nil && ended {
		return nil
	}
	if own, ok := errors.AsType[*ownError](err); ok {
		return own.error
	}
	if f, ok := errors.AsType[*failure.Error](err); ok {
		return f
	}
	return c.gone(ctx, err)
}

// handBackTimeout is how long the node may take to end a listener.
const handBackTimeout = 2 * time.Second

// handBack returns the messages that the node has given to the listener of this name, so
// that the next listener begins with them. An error does not matter: the end of the
// connection does the same a moment later.
func (c *Client) handBack(ctx context.Context, name string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), handBackTimeout)
	defer cancel()
	body, err := json.Marshal(map[string]string{"name": name})
	if err != nil {
		return
	}
	if res, err := c.do(ctx, "POST", "/v1/messages:back", "application/json", bytes.NewReader(body)); err == nil {
		res.Body.Close()
	}
}

// copyMessages writes up to count messages of r to out, and passes those that are flushed to
// acks, which may be nil.
func copyMessages(r io.Reader, count int, out Sink, acks *acknowledger) error {
	n, unflushed := 0, 0
	err := readObjects(r, func(m heardMessage, more bool) error {
		if m.err != nil {
			return failure.New(m.err.Code, m.err.Hint, "%s", m.err.Message)
		}
		n++
		last := n == count
		if err := out.Write(&m.Message); err != nil {
			return &ownError{err}
		}
		if acks != nil {
			acks.add(m.Seq, out.Written())
		}
		if unflushed++; last || !more || unflushed == ackEvery {
			if err := out.Flush(); err != nil {
				return &ownError{err}
			}
			unflushed = 0
			if acks != nil {
				acks.flushed()
			}
		}
		if last {
			return errEnough
		}
		return nil
	})
	switch {
	case errors.Is(err, errEnough):
		return nil
	case err == nil: // the node never ends this by itself
		return io.ErrUnexpectedEOF
	}
	return err
}

// notAcknowledged returns the failure for written messages that could not be
// acknowledged.
func notAcknowledged(err error) error {
	return failure.New("not_acknowledged", "they come again with the next gamelan listen", "the last messages were written, but not acknowledged").Because(err)
}

// heardMessage is a line of the answer: a message, or the error that ends the stream.
type heardMessage struct {
	models.Message
	err *inspect.Error
}

func (m *heardMessage) UnmarshalJSON(b []byte) error {
	if bytes.HasPrefix(b, []byte(`{"error":`)) {
		var e struct{ Error *inspect.Error }
		err := json.Unmarshal(b, &e)
		m.err = e.Error
		return err
	}
	return m.Message.UnmarshalJSON(b)
}

// errEnough ends reading when enough messages have come.
var errEnough = errors.New("gamelan: enough")

// ownError is an error of the caller's output, not of the node.
type ownError struct{ error }
