package kad

import (
	"bufio"
	"encoding/binary"
	"io"
)

// secret is randomness that nobody can predict, for ids that prove where a peer is.
type secret struct{ r *bufio.Reader }

// newSecret returns the randomness of r, of which it takes 32 numbers at a time.
func newSecret(r io.Reader) secret { return secret{bufio.NewReaderSize(r, 256)} }

// Uint64 implements [overlay.Rand].
func (s secret) Uint64() uint64 {
	b, _ := s.r.Peek(8) // it never fails
	n := binary.BigEndian.Uint64(b)
	_, _ = s.r.Discard(8)
	return n
}
