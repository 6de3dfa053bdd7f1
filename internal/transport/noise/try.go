package noise

import "io"

// CanTry reports whether [Conn.TryWrite] can be used.
func (c *Conn) CanTry() bool { return c.try != nil }

// TryWrite is Write for a goroutine that must not wait. It encrypts b, at most
// [MaxPlaintext] bytes, into one frame, and gives the connection below what that takes
// without waiting. The rest of the frame is written before anything else by the next Flush
// or Write, one of which the caller must see to; left reports that there is one.
func (c *Conn) TryWrite(b []byte) (left bool, err error) {
	if c.writeErr != nil {
		return false, c.writeErr
	}
	if len(b) > MaxPlaintext || c.rest != nil {
		return false, io.ErrShortWrite
	}
	buf, frame, err := c.frame(b)
	n := 0
	if err == nil {
		n, err = c.try.TryWrite(frame)
	}
	if err != nil || n == len(frame) {
		c.writeErr = err
		buf.give()
		return false, err
	}
	c.rest, c.restOf = frame[n:], buf
	return true, nil
}

// Flush writes what TryWrite has left. Its error is final, as that of Write is.
func (c *Conn) Flush() error {
	if c.writeErr == nil && c.rest != nil {
		c.writeErr = c.writeAll(c.rest)
		c.restOf.give()
		c.rest, c.restOf = nil, frameBuffer{}
	}
	return c.writeErr
}
