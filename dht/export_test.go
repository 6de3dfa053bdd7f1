package dht

import (
	"fmt"
	"io"
	"time"
	"unsafe"

	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
)

// Held says what an [Outbound] holds, "" for nothing.
func (o *Outbound) Held() (s string) {
	for _, x := range []struct {
		what string
		n    int
	}{
		{"sends", len(o.sends)},
		{"given", len(o.given)},
		{"peers", len(o.peers)},
		{"wakes", len(o.wakes.list)},
		{"copies", o.copies},
		{"copies relayed", o.relays},
		{"messages relayed", len(o.relaying)},
	} {
		if x.n != 0 {
			s += fmt.Sprintf("%d %s ", x.n, x.what)
		}
	}
	return s
}

// CountOpen counts a copy of a message for a handler.
func (d *Dedup) CountOpen(h wire.Hash, from identity.NodeID, wall time.Time) uint32 {
	return d.countOpen(h, from, wall)
}

// Sizes returns how many wakes are set, and how many copies stand in lists of
// peers.
func (o *Outbound) Sizes() (wakes, listed int) {
	for _, p := range o.peers {
		listed += len(p.queue.list) + len(p.relays.list) + len(p.doubtful.list)
	}
	return len(o.wakes.list), listed
}

// Peers returns how many peers an [Outbound] knows something of.
func (o *Outbound) Peers() int { return len(o.peers) }

// Kept returns how many of the ended sends that a [Ledger] remembers have
// somebody to call.
func (l *Ledger) Kept() (n int) {
	for _, e := range l.last {
		if e.changed != nil {
			n++
		}
	}
	return n
}

// Proven returns how many of the proofs are of signatures.
func Proven(list []Proof) (n int) {
	for _, p := range list {
		if p.proven {
			n++
		}
	}
	return n
}

// Limits of what fingerprints take.
const (
	MaxPrints     = maxPrints
	MaxPrintCells = maxPrintCells
	PrintLen      = unsafe.Sizeof(fingerprint{})
	PrintQueueLen = unsafe.Sizeof(printQueue{}) + 2
	PrintQueues   = printQueues
)

// Fingerprints are those of a [Dedup], alone.
type Fingerprints struct{ f *fingerprints }

// NewFingerprints returns some with another limit.
func NewFingerprints(random io.Reader, limit int) Fingerprints {
	f, err := newFingerprints(random, limit)
	if err != nil {
		panic(err)
	}
	return Fingerprints{f}
}

// Add remembers a message.
func (f Fingerprints) Add(h wire.Hash, from identity.NodeID, until, now int64) {
	f.f.add(h, from, until, now, false)
}

// Has reports whether it is remembered.
func (f Fingerprints) Has(h wire.Hash, now int64) bool { return f.f.has(h, now) }

// Counts returns how many there are, how many were forgotten early, and what the
// lists take, in bytes.
func (f Fingerprints) Counts() (n int, early uint64, size int) {
	return f.f.n, f.f.evicted, cap(f.f.list)*int(PrintLen) + 4*len(f.f.cells)
}

// SameQueue reports whether the messages of two peers wait in one queue.
func (f Fingerprints) SameQueue(a, b identity.NodeID) bool { return f.f.queueOf(a) == f.f.queueOf(b) }
