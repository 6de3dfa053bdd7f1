package anchors

import (
	"bufio"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
)

// body is n random bytes.
func body(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return b
}

// writeMessage writes length and body into a buffer.
func writeMessage(w *bufio.Writer, body []byte) error {
	if _, err := w.Write(binary.BigEndian.AppendUint32(w.AvailableBuffer(), uint32(len(body)))); err != nil {
		return err
	}
	_, err := w.Write(body)
	return err
}

// readMessage reads one message into buf, which has to be large enough, and
// gives its body.
func readMessage(r *bufio.Reader, buf []byte) ([]byte, error) {
	header, err := r.Peek(4)
	if err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint32(header))
	if n > len(buf) {
		return nil, fmt.Errorf("got a message of %d bytes, want at most %d", n, len(buf))
	}
	if _, err := r.Discard(4); err != nil {
		return nil, err
	}
	_, err = io.ReadFull(r, buf[:n])
	return buf[:n], err
}

// size names a message size as the cases do.
func size(n int) string {
	if n >= 1024 && n%1024 == 0 {
		return fmt.Sprintf("%dKiB", n/1024)
	}
	return fmt.Sprint(n)
}
