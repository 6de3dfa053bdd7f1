package store

import (
	"bytes"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/internal/kv"
)

// Checker checks the entries of a store without opening it. Visit must get them in the
// order of their keys.
type Checker struct {
	r     dht.StoredReport
	err   error
	heads []uint64 // numbers of readable ones whose envelope was not seen yet
}

// Visit checks one entry of the store. It ignores entries that are no stored messages.
func (c *Checker) Visit(key, value []byte) {
	bulk := key[0] == kv.Bulk
	if bulk {
		key = key[1:]
	}
	if len(key) < 2 || key[0] != keyPrefix {
		return
	}
	seq, ok := seqOf(key)
	switch kind := key[1]; {
	case bytes.Equal(key, metaKey):
		c.r.Schema, c.err = checkMeta(value)
	case kind == keyConfirmed, kind == keyVisit:
		c.r.Bytes += int64(len(value))
	case kind == keyHead:
		c.r.Bytes += int64(len(value))
		if _, readable := decodeHead(value); ok && readable {
			c.heads = append(c.heads, seq)
		} else {
			c.r.Damaged++
		}
	case kind == keyEnvelope && bulk:
		c.r.Bytes += int64(len(value))
		c.envelope(seq, value)
	}
}

// envelope checks the envelope of a message, whose head was visited before.
func (c *Checker) envelope(seq uint64, value []byte) {
	for len(c.heads) > 0 && c.heads[0] < seq {
		c.r.Damaged++ // a head without an envelope
		c.heads = c.heads[1:]
	}
	if len(c.heads) == 0 || c.heads[0] != seq {
		return // its head cannot be read, and counts
	}
	c.heads = c.heads[1:]
	if _, err := wire.DecodeEnvelope(value); err != nil {
		c.r.Damaged++
	} else {
		c.r.Messages++
	}
}

// Report returns the result. The error is the one that opening would report.
func (c *Checker) Report() (dht.StoredReport, error) {
	r := c.r
	r.Current = Schema
	r.Damaged += len(c.heads)
	return r, c.err
}
