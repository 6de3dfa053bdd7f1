package client

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
)

// readObjects decodes one JSON object a line from r and calls f with each, until r ends or f
// returns an error. more reports whether another line is already buffered. Empty lines only
// show that the other side is alive.
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
		var v T
		if err := json.Unmarshal(line, &v); err != nil {
			return err
		}
		if err := f(v, in.Buffered() > 0); err != nil {
			return err
		}
	}
}
