package peerstore

import (
	"errors"
	"fmt"
	"strings"
)

// ErrBadImport reports text that is not the JSON of peers.
var ErrBadImport = errors.New("peerstore: bad peer file")

// ImportError reports an error in a peer file: its place and what was expected. It
// matches [ErrBadImport].
type ImportError struct {
	Line   int    // from 1
	Entry  int    // from 1; 0 outside the list of peers
	Peer   string // the entry's node id or key; empty if it was not read yet
	Field  string // such as addresses[2].source; empty for the whole entry or file
	Err    error  // what is wrong; may be a sentinel of another package
	Remedy string // what is expected, with an example
}

// Error names line, entry and field, the problem and the remedy.
func (e *ImportError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v: line %d", ErrBadImport, e.Line)
	if e.Entry > 0 {
		fmt.Fprintf(&b, ", entry %d", e.Entry)
	}
	if e.Peer != "" {
		fmt.Fprintf(&b, " (%s)", e.Peer)
	}
	if e.Field != "" {
		fmt.Fprintf(&b, ", %s", e.Field)
	}
	fmt.Fprintf(&b, ": %v", e.Err)
	if e.Remedy != "" {
		fmt.Fprintf(&b, "; %s", e.Remedy)
	}
	return b.String()
}

// Unwrap returns ErrBadImport and the cause.
func (e *ImportError) Unwrap() []error { return []error{ErrBadImport, e.Err} }
