package memory

import (
	"time"

	ma "github.com/multiformats/go-multiaddr"
)

// Link is what lies between two nodes, the same in both directions. The zero
// value delivers at once and is the cheapest.
type Link struct {
	// Latency is how long a byte is under way. A dial takes twice as long.
	Latency time.Duration
	// Jitter is added to Latency: a random part of it for each piece. The
	// order of bytes is kept.
	Jitter time.Duration
	// Bandwidth in bytes a second; 0 is no limit.
	Bandwidth int
	// Buffer is how many bytes one direction holds that were written and not
	// yet read; a Write waits when it is full. 0 is 64 KiB, less than
	// [MinBuffer] is MinBuffer.
	Buffer int
	// MaxRead is the most that one Read returns, for tests that want partial
	// reads; 0 is no limit.
	MaxRead int
}

const (
	// MinBuffer is the smallest buffer of one direction, that of a socket on
	// Linux. Whoever writes less before reading cannot block for ever.
	MinBuffer = 2304

	defaultBuffer = 64 << 10
)

func (l Link) buffer() int {
	if l.Buffer == 0 {
		return defaultBuffer
	}
	return max(l.Buffer, MinBuffer)
}

// immediate reports whether what is written has arrived.
func (l Link) immediate() bool { return l.Latency <= 0 && l.Jitter <= 0 && l.Bandwidth <= 0 }

// rule is a partition, or a link, between the nodes that a and b stand for.
type rule struct {
	a, b point
	link *Link // nil: a partition
}

// point stands for one node, by its transport or by a port it has listened on,
// or for all.
type point struct {
	t    *Transport
	port uint16
	all  bool
}

// pointOf returns the node behind an address; an address that is none of a
// memory network stands for nobody.
func pointOf(a ma.Multiaddr) point {
	if a == nil {
		return point{all: true}
	}
	port, _ := portOf(a)
	return point{port: uint16(port)}
}

// end is one end of a connection, or of one that is being made: the transport,
// nil if it is not known, and the port if it is the listening one.
type end struct {
	t    *Transport
	port uint16
}

// is reports whether p stands for e; the network's lock is held.
func (p point) is(e end) bool {
	switch {
	case p.all:
		return true
	case p.t != nil:
		return p.t == e.t
	case p.port == 0:
		return false
	}
	return p.port == e.port || e.t != nil && e.t.ports[p.port]
}

func (r rule) matches(a, b end) bool {
	return r.a.is(a) && r.b.is(b) || r.a.is(b) && r.b.is(a)
}
