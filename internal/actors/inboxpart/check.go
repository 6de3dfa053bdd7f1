package inboxpart

import (
	"bytes"

	"github.com/gamelan-p2p/gamelan/actors"
)

// Checker checks the entries of a store without opening the inbox.
type Checker struct {
	r   actors.InboxReport
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
func (c *Checker) Report() (actors.InboxReport, error) {
	c.r.Current = Schema
	return c.r, c.err
}
