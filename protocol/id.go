package protocol

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// MaxID is the greatest length, in bytes, of an id that a node registers and
// advertises. Peers ban a node for longer ones in an identity message
// (spec: comms 7.4).
const MaxID = 50

// ErrBadID reports a protocol id that cannot be registered.
var ErrBadID = errors.New("protocol: bad protocol id")

// ID is the name by which two nodes agree on the protocol of a substream.
// On the wire it is arbitrary bytes; by convention "t/<name>/<version>".
type ID string

// Validate reports whether a node may register and advertise the id: 1 to
// [MaxID] bytes of printable ASCII without a comma (V7). Received ids may be
// anything.
func (id ID) Validate() error {
	switch {
	case id == "":
		return fmt.Errorf("%w: it is empty; name the protocol, for instance t/chat/1", ErrBadID)
	case len(id) > MaxID:
		return fmt.Errorf("%w: %d bytes, at most %d are allowed; shorten it", ErrBadID, len(id), MaxID)
	case strings.Contains(string(id), ","):
		return fmt.Errorf("%w: %s has a comma; leave it out", ErrBadID, id)
	case !PrintableASCII(string(id)):
		return fmt.Errorf("%w: %s; use printable ASCII only", ErrBadID, id)
	}
	return nil
}

// String returns the id unchanged if that is safe to show. Otherwise it returns the
// id quoted, with everything but printable ASCII escaped (V7).
func (id ID) String() string { return Printable(string(id)) }

// PrintableASCII reports whether s is made of bytes 0x20 to 0x7E only.
func PrintableASCII(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7E {
			return false
		}
	}
	return true
}

// Printable makes text that a peer chose safe to show and to log: printable
// ASCII stays as it is, anything else is quoted and escaped.
func Printable(s string) string {
	if PrintableASCII(s) {
		return s
	}
	return strconv.QuoteToASCII(s)
}
