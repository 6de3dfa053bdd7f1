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
	"github.com/gamelan-p2p/gamelan/transport"
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
	rest     []byte              // of a frame that TryWrite began
	restOf   frameBuffer         // holds rest
	try      transport.TryWriter // nil if the raw connection cannot
	writeErr error
}

func newConn(c net.Conn) *Conn {
	conn := &Conn{Conn: c, r: bufio.NewReaderSize(c, readBuffer)}
	if t, ok := c.(transport.TryWriter); ok && t.CanTry() {
		conn.try = t
	}
	return conn
}

// RemoteKey returns the static key of the other end.
func (c *Conn) RemoteKey() identity.PublicKey { return c.remote }

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
	for {
		if len(c.plain) > 0 {
			n := copy(b, c.plain)
			c.plain = c.plain[n:]
			if len(c.plain) == 0 {
				c.release()
			}
			return n, nil
		}
		if c.readErr != nil {
			return 0, c.readErr
		}
		n, err := 0, error(nil)
		size := c.need
		if c.large == nil {
			size, err = c.header() // an idle connection waits here: keep the stack small
		}
		if err == nil {
			n, err = c.next(b, size)
		}
		if err != nil {
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				c.readErr = err
				c.release()
			}
			return 0, err
		}
		if n > 0 {
			return n, nil
		}
	}
}

// next reads and decrypts one frame of that size. If its plaintext fits b, next puts it
// there and returns its length; otherwise it puts it into c.plain. It skips a frame
// without plaintext, which other implementations take for the end of the stream.
func (c *Conn) next(b []byte, size int) (n int, err error) {
	if c.large == nil {
		if size < tagLen {
			return 0, fmt.Errorf("%w: %d bytes are too few", ErrDecrypt, size)
		}
		if headerLen+size <= c.r.Size() {
			return c.small(b, size)
		}
		if _, err := c.r.Discard(headerLen); err != nil {
			return 0, err
		}
		c.large, c.need, c.have = takeLarge(), size, 0
	}
	for c.have < c.need {
		n, err := c.r.Read(c.large[c.have:c.need])
		c.have += n
		if err != nil && c.have < c.need {
			return 0, inside(err)
		}
	}
	frame := c.large[:c.need]
	if len(b) >= c.need-tagLen {
		plain, err := c.in.open(b[:0], frame)
		c.release()
		return len(plain), err
	}
	c.plain, err = c.in.open(frame[:0], frame)
	return 0, err
}

// small reads a frame that fits the read buffer and decrypts it there.
func (c *Conn) small(b []byte, size int) (int, error) {
	frame, err := c.r.Peek(headerLen + size)
	if err != nil {
		return 0, inside(err)
	}
	frame = frame[headerLen:]
	direct := len(b) >= size-tagLen
	dst := frame[:0]
	if direct {
		dst = b[:0]
	}
	plain, err := c.in.open(dst, frame)
	if err != nil {
		return 0, err
	}
	// The bytes stay in the buffer until the next use of r, which comes only after
	// the last of them was read.
	if _, err := c.r.Discard(headerLen + size); err != nil {
		return 0, err
	}
	if direct {
		return len(plain), nil
	}
	c.plain = plain
	return 0, nil
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
// in frames that were written completely. What TryWrite has left goes first.
func (c *Conn) Write(b []byte) (n int, err error) {
	if err := c.Flush(); err != nil {
		return 0, err
	}
	for len(b) > 0 {
		chunk := b[:min(len(b), MaxPlaintext)]
		if err := c.writeFrame(chunk); err != nil {
			c.writeErr = err
			return n, err
		}
		n += len(chunk)
		b = b[len(chunk):]
	}
	return n, nil
}

func (c *Conn) writeFrame(plain []byte) error {
	buf, frame, err := c.frame(plain)
	defer buf.give()
	if err != nil {
		return err
	}
	return c.writeAll(frame)
}

// frame encrypts plain into a borrowed buffer, which the caller gives back.
func (c *Conn) frame(plain []byte) (buf frameBuffer, frame []byte, err error) {
	buf = takeFrame(headerLen + len(plain) + tagLen)
	frame = binary.BigEndian.AppendUint16(buf.bytes(), uint16(len(plain)+tagLen))
	sealed, err := c.out.seal(frame[headerLen:], plain)
	return buf, frame[:headerLen+len(sealed)], err
}

func (c *Conn) writeAll(b []byte) error {
	n, err := c.Conn.Write(b)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	return err
}
