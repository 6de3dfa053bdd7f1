package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/gamelan-p2p/gamelan/inspect"
)

// callerError is an error of the caller's function, not of the node.
type callerError struct{ error }

// stream makes the node carry out the action at path, whose answer has a line for each result.
func stream[T any](ctx context.Context, c *Client, path, kind string, body io.Reader, each func(v T, more bool) error) error {
	res, err := c.do(ctx, http.MethodPost, path, kind, body)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	return asked(c.ended(ctx, readObjects(res.Body, each)))
}

// ended returns the error of a stream that ended with err.
func (c *Client) ended(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if own, ok := errors.AsType[*callerError](err); ok {
		return own.error
	}
	if refused, ok := errors.AsType[*inspect.Error](err); ok {
		return refused
	}
	return c.gone(ctx, err)
}

// readObjects decodes one JSON object a line from r and calls f with each, until r ends or f
// returns an error, which becomes a callerError. more reports whether another line is already
// buffered. Empty lines only show that the other side is alive. A line may be the error that ends
// the stream.
func readObjects[T any](r io.Reader, f func(v T, more bool) error) error {
	in := bufio.NewReaderSize(r, 64<<10)
	for {
		line, err := in.ReadBytes('\n')
		if err == io.EOF && len(line) > 0 {
			err = io.ErrUnexpectedEOF
		}
		if err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if bytes.HasPrefix(line, []byte(`{"error":{`)) {
			var refused struct{ Error *inspect.Error }
			if err := json.Unmarshal(line, &refused); err != nil {
				return err
			}
			return refused.Error
		}
		var v T
		if err := json.Unmarshal(line, &v); err != nil {
			return err
		}
		if err := f(v, in.Buffered() > 0); err != nil {
			return &callerError{err}
		}
	}
}
