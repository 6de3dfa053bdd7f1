package memory

import (
	"time"

	ma "github.com/multiformats/go-multiaddr"
)

// Link describes the network between two nodes, the same in both directions. The zero
// value delivers at once and needs the least work.
type Link struct {
	// Latency is the time from a write to the arrival. A dial takes twice as long.
	Latency time.Duration
	// Jitter is the greatest random time that is added to Latency, for each piece.
	// Bytes arrive in order.
	Jitter time.Duration
	// Bandwidth in bytes a second; 0 is no limit.
	Bandwidth int
	// Buffer is how many bytes one direction holds that were written and not read
	// yet; a Write waits when it is full. 0 means 64 KiB, a value below [MinBuffer]
	// means MinBuffer.
	Buffer int
	// MaxRead is the greatest number of bytes that one Read returns, for tests with
	// partial reads; 0 is no limit.
	MaxRead int
}

const (
	// MinBuffer is the smallest buffer of one direction, in bytes: that of a socket on
	// Linux. Two ends that both write less than this before they read cannot deadlock.
	MinBuffer = 2304

	defaultBuffer = 64 << 10
)

func (l Link) buffer() int {
	if l.Buffer == 0 {
		return defaultBuffer
	}
	return max(l.Buffer, MinBuffer)
}

// immediate reports whether written bytes arrive at once.
func (l Link) immediate() bool { return l.Latency <= 0 && l.Jitter <= 0 && l.Bandwidth <= 0 }

// rule is a partition or a link between the nodes of a and b.
type rule struct {
	a, b point
	link *Link // nil: a partition
}

// point stands for one node, by its transport or by a port on which it has listened, or
// for all nodes.
type point struct {
	t    *Transport
	port uint16
	all  bool
}

// pointOf returns the point of the node with that address. An address of another kind
// stands for no node.
func pointOf(a ma.Multiaddr) point {
	if a == nil {
		return point{all: true}
	}
	port, _ := portOf(a)
	return point{port: uint16(port)}
}

// end is one end of a connection, or of one that is being made: its transport, nil if
// unknown, and, at the listening end, its port.
type end struct {
	t    *Transport
	port uint16
}

// is reports whether p stands for e's node. The caller holds the network's lock.
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
