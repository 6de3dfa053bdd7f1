package inboxpart

import "bytes"

// Report describes the inbox in a store.
type Report struct {
	Schema   int // schema version of the records; 0: the store has no inbox yet
	Current  int // schema version that this release writes
	Messages int
	Bytes    int64 // of all records
	Damaged  int   // records that cannot be read; a node leaves them as they are
}

// Checker checks the entries of a store without opening the inbox.
type Checker struct {
	r   Report
	err error
}

// Visit checks one entry of the store. It ignores entries that are not the inbox's.
func (c *Checker) Visit(key, value []byte) {
	switch {
	case bytes.Equal(key, []byte{keyPrefix, keyMeta}):
		c.r.Schema, _, c.err = decodeMeta(value)
	case bytes.HasPrefix(key, []byte{keyPrefix, keyMessage}):
		if _, _, ok := recordHead(value); !ok || len(key) != keyLen {
			c.r.Damaged++
			return
		}
		c.r.Messages++
		c.r.Bytes += int64(len(value))
	}
}

// Report returns the result. The error is the one that opening the inbox would report.
func (c *Checker) Report() (Report, error) {
	c.r.Current = Schema
	return c.r, c.err
}
