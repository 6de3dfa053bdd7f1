package frame

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// HeaderLen is the number of bytes before each payload.
const HeaderLen = 4

// MinRate is the lowest average rate, in bytes per second, at which a frame that has
// begun may arrive. A reader gives up a slower sender.
const MinRate = 16 << 10

// ErrTooLong reports a frame above the limit its reader or writer set.
var ErrTooLong = errors.New("frame: too long")

// AppendHeader appends the header of a payload of n bytes, from 0 to 2^32−1.
func AppendHeader(dst []byte, n int) []byte {
	if n < 0 || int64(n) > math.MaxUint32 {
		panic(fmt.Sprintf("frame: a payload of %d bytes has no header", n))
	}
	return binary.BigEndian.AppendUint32(dst, uint32(n))
}

// Append appends a whole frame. The caller has checked the length.
func Append(dst, body []byte) []byte {
	return append(AppendHeader(dst, len(body)), body...)
}

// Cut returns the payload of the frame at the beginning of b, and the bytes behind the frame. ok
// is false if b does not hold a whole frame whose payload has at most limit bytes.
func Cut(b []byte, limit int) (body, rest []byte, ok bool) {
	if len(b) < HeaderLen {
		return nil, b, false
	}
	n := binary.BigEndian.Uint32(b)
	if n > uint32(limit) || n > uint32(len(b)-HeaderLen) {
		return nil, b, false
	}
	end := HeaderLen + int(n)
	return b[HeaderLen:end], b[end:], true
}
