package inbox

import "bytes"

// Report says what the inbox in a store holds, and what opening it will do.
type Report struct {
	Schema   int // of its records; 0: there are none yet, and the next start makes it the current one
	Current  int // of this release
	Messages int
	Bytes    int64 // of records
	Damaged  int   // records that cannot be read; a node leaves them as they are
}

// Checker looks at the entries of a store, for a dry run of opening it.
type Checker struct {
	r   Report
	err error
}

// Visit looks at one entry, whosever it is.
func (c *Checker) Visit(key, value []byte) {
	switch {
	case bytes.Equal(key, []byte{keyPrefix, keyMeta}):
		c.r.Schema, _, c.err = decodeMeta(value)
	case bytes.HasPrefix(key, []byte{keyPrefix, keyMessage}):
		if _, ok := recordTime(value); !ok || len(key) != keyLen {
			c.r.Damaged++
			return
		}
		c.r.Messages++
		c.r.Bytes += int64(len(value))
	}
}

// Report returns what was seen. The error is the one that opening the inbox would
// report.
func (c *Checker) Report() (Report, error) {
	c.r.Current = Schema
	return c.r, c.err
}
