package kv

import (
	"bytes"
	"errors"
	"iter"
	"slices"
)

// Errors of stores. Those of a directory come inside a [*DirError], which names the
// directory and a remedy.
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
	ErrNoDisk      = errors.New("kv: this program was built without the disk store")

	// ErrReopened: see [Client].
	ErrReopened = errors.New("kv: opened anew after its disk failed")
)

// Bulk is the first byte of the keys of bulk entries. They are for many or large values:
// opening the store does not read them, and deleting one does not read its old value. In
// turn the store does not notice that one of them is missing. The part that writes them
// has to, and to do without. In all else they are entries as any other.
const Bulk = 0xff

// DB is an ordered key-value store. Its methods may be called from any
// goroutine. A key must not be empty or begin with a zero byte: such keys are
// the store's own.
//
// A DB is also a [Client], for the code that opened it and for no other. Each other
// part of the node that writes takes its own Client.
type DB interface {
	Client

	// Client returns another client of the store.
	Client() Client

	// Close waits for running calls and scans and closes the store. Later calls
	// return ErrClosed, later calls of Close nil.
	Close() error
}

// Client is one writer's access to the store. Several writers share a store. When
// its disk has failed and the store is opened anew, each of them may have lost the
// batches that it applied without sync. Each client learns of each opening once: its
// next Apply applies nothing and returns ErrReopened. The writer then applies again
// everything since its last sync, and after that the refused batch. Apply does not
// report the same opening again, even when that fails.
//
// A client whose batches were all synced has lost nothing. So a writer that follows
// each Apply without sync by one with sync, within a bounded time, learns within that
// time of everything it may have lost.
type Client interface {
	// Get returns the value of key, or ErrNotFound. The caller owns the value.
	Get(key []byte) ([]byte, error)

	// Apply makes all changes of b or none. With sync it returns after the changes
	// are on the disk, together with everything this client applied before. After
	// an error the changes may or may not be there; the same batch may be
	// applied again. After an error of the disk the next Apply of any client
	// opens the store anew.
	Apply(b *Batch, sync bool) error

	// Scan returns the entries whose key begins with prefix, in the order of
	// their keys, as they were when the loop began. After the loop, the function
	// err returns the error that ended it early, or nil. Key and value are valid
	// until the next step. The loop must not call Close.
	Scan(prefix []byte) (entries iter.Seq2[[]byte, []byte], err func() error)

	// ScanFrom is Scan without the entries whose key is less than first.
	ScanFrom(prefix, first []byte) (entries iter.Seq2[[]byte, []byte], err func() error)
}

// Space is implemented by stores in a directory.
type Space interface {
	// Free returns how many bytes of the file system are left to the node's user.
	Free() (uint64, error)
}

// Batch is a set of changes. The last of several changes to one key counts. The zero
// value is empty. A Batch is not safe for concurrent use.
type Batch struct {
	ops []op
}

type op struct {
	key, value []byte
	delete     bool
}

// Set sets the value of key. The batch keeps both slices; the caller must not
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

// check returns ErrBadKey unless every key is valid.
func (b *Batch) check() error {
	for _, o := range b.ops {
		if !validKey(o.key) {
			return ErrBadKey
		}
	}
	return nil
}

func validKey(key []byte) bool { return len(key) > 0 && key[0] != 0 }

// end returns the smallest key above all keys that begin with prefix, or nil if
// there is none.
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
