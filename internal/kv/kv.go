package kv

import (
	"bytes"
	"errors"
	"iter"
	"slices"
)

// Errors of stores. Those of a directory come inside a [*DirError], which names
// it and says what to do.
var (
	ErrNotFound    = errors.New("kv: not found")
	ErrClosed      = errors.New("kv: store closed")
	ErrBadKey      = errors.New("kv: key is empty or begins with a zero byte")
	ErrLocked      = errors.New("kv: in use by another node")
	ErrCorrupt     = errors.New("kv: damaged")
	ErrNewerSchema = errors.New("kv: written by a newer release")
	ErrPermission  = errors.New("kv: permission denied")
	ErrNotStore    = errors.New("kv: holds other files")
	ErrFailed      = errors.New("kv: disk failed")

	// ErrReopened: see [Client].
	ErrReopened = errors.New("kv: opened anew after its disk failed")
)

// DB is an ordered key-value store. Its methods may be called from any
// goroutine. Keys are not empty and do not begin with a zero byte: those are
// the store's own.
//
// A DB is also the client of its opener, and only the opener's. Each part of
// the node that writes takes one of its own.
type DB interface {
	Client

	// Client returns another client of the store.
	Client() Client

	// Close waits for running calls and scans and gives the store back. Later
	// calls return ErrClosed, later calls of Close nil.
	Close() error
}

// Client is the store as one writer sees it. Several writers share a store, and
// when its disk has failed and the store is opened anew, every one of them may
// have lost what it applied without sync. Each client is told so once for each
// opening, whichever of them writes first: its next Apply applies nothing and
// returns ErrReopened. The client then writes anew what it has applied since
// its last sync, and applies the refused batch once more. A client that loses
// the news, for instance because writing anew fails, is not told again.
//
// A client with nothing unsynced has lost nothing. So a client that follows
// each Apply without sync by one with sync, within a bounded time, hears within
// that time of everything it may have lost, and one that never writes need not
// hear anything.
type Client interface {
	// Get returns the value of key, which the caller owns, or ErrNotFound.
	Get(key []byte) ([]byte, error)

	// Apply makes all changes of b or none. With sync it returns after they
	// are on the disk, together with everything this client applied before. An
	// error means that they may or may not be there; the same batch may be
	// applied again. After an error of the disk the next Apply of any client
	// opens the store anew.
	Apply(b *Batch, sync bool) error

	// Scan returns the entries whose key begins with prefix, in the order of
	// their keys, as they were when the loop began, and a function that says
	// after the loop what ended it early, if anything did. Key and value are
	// valid until the next step. The loop must not call Close.
	Scan(prefix []byte) (entries iter.Seq2[[]byte, []byte], err func() error)

	// ScanFrom is Scan without the entries whose key is less than first.
	ScanFrom(prefix, first []byte) (entries iter.Seq2[[]byte, []byte], err func() error)
}

// Batch is a set of changes; of several to one key the last counts. The zero
// value is empty. A Batch is not safe for concurrent use.
type Batch struct {
	ops []op
}

type op struct {
	key, value []byte
	delete     bool
}

// Set makes key have value. The batch keeps both slices; the caller must not
// change them until the batch has been applied.
func (b *Batch) Set(key, value []byte) { b.ops = append(b.ops, op{key: key, value: value}) }

// Delete removes key, if it is there.
func (b *Batch) Delete(key []byte) { b.ops = append(b.ops, op{key: key, delete: true}) }

// Len returns the number of changes.
func (b *Batch) Len() int { return len(b.ops) }

// distinct returns the last change of each key, in the order of the keys.
func (b *Batch) distinct() []op {
	ops := slices.Clone(b.ops)
	slices.SortStableFunc(ops, func(x, y op) int { return bytes.Compare(x.key, y.key) })
	last := ops[:0]
	for i, o := range ops {
		if i+1 == len(ops) || !bytes.Equal(o.key, ops[i+1].key) {
			last = append(last, o)
		}
	}
	return last
}

// check reports whether every key may be used.
func (b *Batch) check() error {
	for _, o := range b.ops {
		if !validKey(o.key) {
			return ErrBadKey
		}
	}
	return nil
}

func validKey(key []byte) bool { return len(key) > 0 && key[0] != 0 }

// end returns the smallest key above all that begin with prefix, nil if none.
func end(prefix []byte) []byte {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] != 0xff {
			e := append([]byte(nil), prefix[:i+1]...)
			e[i]++
			return e
		}
	}
	return nil
}
