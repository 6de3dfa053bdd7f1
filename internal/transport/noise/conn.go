package noise

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"github.com/gamelan-p2p/gamelan/identity"
)

// Sizes of transport frames.
const (
	// MaxPlaintext is the greatest plaintext of one frame; longer writes are split.
	MaxPlaintext = maxMessage - tagLen

	maxMessage = 65535
	headerLen  = 2
	tagLen     = 16
)

// Conn is an encrypted connection: a byte stream whose other end has proved that it
// holds the key [Conn.RemoteKey].
//
// One goroutine may read while another writes. Any goroutine may set deadlines and
// close. A Read that ends at a deadline loses nothing and may be repeated. Every other
// error of Read, and every error of Write, is final.
type Conn struct {
	net.Conn // the raw connection: addresses, deadlines, Close

	remote identity.PublicKey
	hash   []byte
	secret int

	// Reading.
	r       *bufio.Reader
	in      cipherState
	plain   []byte       // decrypted bytes that were not read yet, in r's buffer or in large
	large   *largeBuffer // the present frame, if it does not fit r's buffer
	need    int          // length of the frame in large
	have    int          // bytes of it that have arrived
	readErr error

	// Writing.
	out      cipherState
	writeErr error
}

func newConn(c net.Conn) *Conn {
	return &Conn{Conn: c, r: bufio.NewReaderSize(c, readBuffer)}
}

// RemoteKey returns the static key of the other end.
func (c *Conn) RemoteKey() identity.PublicKey { return c.remote }

// Secret returns which of [Config.Secrets] both ends have, counted from 0.
func (c *Conn) Secret() int { return c.secret }

// HandshakeHash returns the 64-byte hash of the handshake, the same on both ends
// and different for each connection. The caller must not change it.
func (c *Conn) HandshakeHash() []byte { return c.hash }

// Read reads decrypted bytes, at most those of one frame. io.EOF means that the
// connection ended between two frames. An attacker can cause that, so the protocol above
// needs its own end marker.
func (c *Conn) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	if err := c.Fill(); err != nil {
		return 0, err
	}
	n := copy(b, c.plain)
	c.plain = c.plain[n:]
	if len(c.plain) == 0 {
		c.release()
	}
	return n, nil
}

// Buffered returns how many bytes the next Read returns without waiting.
func (c *Conn) Buffered() int { return len(c.plain) }

// Pending reports whether there are bytes that no Read has returned, or that are not deciphered.
func (c *Conn) Pending() bool { return len(c.plain) > 0 || c.large != nil || c.r.Buffered() > 0 }

// Fill waits until the next Read need not wait. It fails as Read does. It skips frames without
// plaintext, which other implementations take for the end of the stream.
func (c *Conn) Fill() error {
	for len(c.plain) == 0 {
		if c.readErr != nil {
			return c.readErr
		}
		size, err := c.need, error(nil)
		if c.large == nil {
			size, err = c.header() // an idle connection waits here: keep the stack small
		}
		if err == nil {
			c.plain, err = c.next(size)
		}
		if err != nil {
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				c.readErr = err
				c.release()
			}
			return err
		}
		if len(c.plain) == 0 {
			c.release()
		}
	}
	return nil
}

// next reads one frame of that size and decrypts it where it is.
func (c *Conn) next(size int) (plain []byte, err error) {
	if c.large == nil {
		if size < tagLen {
			return nil, fmt.Errorf("%w: %d bytes are too few", ErrDecrypt, size)
		}
		if headerLen+size <= c.r.Size() {
			return c.small(size)
		}
		if _, err := c.r.Discard(headerLen); err != nil {
			return nil, err
		}
		c.large, c.need, c.have = takeLarge(), size, 0
	}
	for c.have < c.need {
		n, err := c.r.Read(c.large[c.have:c.need])
		c.have += n
		if err != nil && c.have < c.need {
			return nil, inside(err)
		}
	}
	frame := c.large[:c.need]
	return c.in.open(frame[:0], frame)
}

// small reads a frame that fits the read buffer.
func (c *Conn) small(size int) ([]byte, error) {
	frame, err := c.r.Peek(headerLen + size)
	if err != nil {
		return nil, inside(err)
	}
	frame = frame[headerLen:]
	plain, err := c.in.open(frame[:0], frame)
	if err != nil {
		return nil, err
	}
	// The bytes stay in the buffer until the next use of r, which comes only after
	// the last of them was read.
	_, err = c.r.Discard(headerLen + size)
	return plain, err
}

// header returns the length of the next frame, and leaves its header in the buffer. It
// skips frames of length 0.
func (c *Conn) header() (int, error) {
	for {
		head, err := c.r.Peek(headerLen)
		if err != nil {
			if len(head) > 0 {
				err = inside(err)
			}
			return 0, err
		}
		if size := int(binary.BigEndian.Uint16(head)); size > 0 {
			return size, nil
		}
		if _, err := c.r.Discard(headerLen); err != nil {
			return 0, err
		}
	}
}

// release gives the borrowed buffer back.
func (c *Conn) release() {
	c.plain = nil
	if c.large != nil {
		giveLarge(c.large)
		c.large = nil
	}
}

// inside marks an end of the connection within a frame.
func inside(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Write encrypts b and writes it. For each 65,519 bytes it writes one frame, in one
// Write of the connection below. An empty b writes nothing. After an error the other end
// cannot decrypt anything more, so every later Write fails too. n counts the bytes of b
// in frames that were written completely.
func (c *Conn) Write(b []byte) (n int, err error) {
	for len(b) > 0 {
		chunk := b[:min(len(b), MaxPlaintext)]
		if err := c.WriteParts(chunk, nil); err != nil {
			return n, err
		}
		n += len(chunk)
		b = b[len(chunk):]
	}
	return n, c.writeErr
}

// WriteParts writes head and body, together at most [MaxPlaintext] bytes, as one frame. It
// copies them once, into the frame, and encrypts them there. It fails as Write does.
func (c *Conn) WriteParts(head, body []byte) error {
	if c.writeErr != nil {
		return c.writeErr
	}
	n := len(head) + len(body)
	if n > MaxPlaintext {
		return io.ErrShortWrite
	}
	buf := takeFrame(headerLen + n + tagLen)
	defer buf.give()
	frame := binary.BigEndian.AppendUint16(buf.bytes(), uint16(n+tagLen))
	frame = append(append(frame, head...), body...)
	sealed, err := c.out.seal(frame[headerLen:headerLen], frame[headerLen:])
	if err == nil {
		err = c.writeAll(frame[:headerLen+len(sealed)])
	}
	c.writeErr = err
	return err
}

func (c *Conn) writeAll(b []byte) error {
	n, err := c.Conn.Write(b)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	return err
}
