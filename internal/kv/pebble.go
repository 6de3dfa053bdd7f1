//go:build !nodisk

package kv

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Limits of one store.
const (
	cacheSize    = 4 << 20
	memTableSize = 4 << 20
	maxOpenFiles = 256
)

// flushRetry is the pause after a failed flush, until the store is opened anew.
const flushRetry = 50 * time.Millisecond

// formatVersion is the format of Pebble's own files.
const formatVersion = pebble.FormatValueSeparation

// lowest is the smallest key that users of the store may have.
var lowest = []byte{1}

// pebbleDB is a store in a directory. Every call holds mu for reading, so that
// neither Close nor a new opening closes Pebble while an iterator is open.
type pebbleDB struct {
	dir   string
	files vfs.FS
	lock  *dirLock

	mu         sync.RWMutex
	log        *fatal
	db         *pebble.DB // nil when closed, or when openErr is set
	openErr    error      // why the store could not be opened again; nil when closed
	reopenings uint64     // how often the store was opened anew after its disk failed
	closed     bool

	commitMu sync.Mutex // held while a batch gets its generation and enters the log
	guard    guard      // as of the last batch in the log
	witness  *witness
}

// pebbleClient is the [Client] of one writer.
type pebbleClient struct {
	*pebbleDB
	seen atomic.Uint64 // value of pebbleDB.reopenings that this client knows
}

// Client returns a client to which only later openings are reported.
func (p *pebbleDB) Client() Client {
	p.mu.RLock()
	defer p.mu.RUnlock()
	c := &pebbleClient{pebbleDB: p}
	c.seen.Store(p.reopenings)
	return c
}

// Free implements [Space].
func (p *pebbleDB) Free() (uint64, error) {
	u, err := p.files.GetDiskUsage(p.dir)
	return u.AvailBytes, err
}

// Available returns nil, as this program can open stores in directories. In a program
// that is built with the tag nodisk it returns a [*DirError] with ErrNoDisk.
func Available(dir string) error { return nil }

// OpenPebble opens the store in dir. It makes the directory, with mode 0700, if it
// does not exist. It copies a store of an older schema beside dir before it upgrades
// it. It reads the whole store and checks it against the guard. Its errors are
// [*DirError]s with ErrLocked, ErrCorrupt, ErrNewerSchema, ErrPermission, ErrNotStore
// or ErrFailed. A refused store stays as it was. An open store uses about 10 MB
// of memory at most, and few goroutines.
func OpenPebble(dir string) (DB, error) { return OpenPebbleOn(dir, vfs.Default) }

// OpenPebbleOn is OpenPebble on another file system.
func OpenPebbleOn(dir string, files vfs.FS) (DB, error) {
	db, err := openPebble(dir, files)
	if err != nil {
		return nil, err // nil, not an interface that holds a nil pointer
	}
	return db, nil
}

func openPebble(dir string, files vfs.FS) (_ *pebbleClient, err error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("kv: open %s: %w", dir, err)
	}
	exists, err := inspect(abs, files)
	if err != nil {
		return nil, err
	}
	p := &pebbleDB{dir: abs, files: files}
	if p.lock, err = lockDirectory(abs, files); err != nil {
		return nil, lockError(abs, err)
	}
	if err := p.open(exists); err != nil {
		return nil, errors.Join(err, p.lock.close())
	}
	return &pebbleClient{pebbleDB: p}, nil
}

// open opens Pebble and the witness. The caller holds mu, or has the only reference.
func (p *pebbleDB) open(exists bool) error {
	var s state
	var err error
	if exists {
		if s, err = examine(p.dir, p.files, p.lock.pebble, nil); err != nil {
			return err
		}
		if s.schema > 0 && s.schema < Schema {
			if err := backup(p.dir, s.schema, p.files); err != nil {
				return openError(p.dir, fmt.Errorf("copy the store before its upgrade: %w", err))
			}
		}
	}
	if err := probe(p.dir, p.files); err != nil {
		return openError(p.dir, err)
	}
	log := &fatal{}
	db, err := open(p.dir, options(p.files, p.lock.pebble, log, false))
	if err != nil {
		return openError(p.dir, err)
	}
	err = settle(db, &s)
	var w *witness
	if err == nil {
		w, err = openWitness(p.dir, p.files, s.guard.generation)
	}
	if err = errors.Join(err, log.err()); err != nil {
		if w != nil {
			err = errors.Join(err, w.close())
		}
		return openError(p.dir, errors.Join(err, db.Close()))
	}
	p.db, p.log, p.witness, p.guard, p.openErr = db, log, w, s.guard, nil
	return nil
}

// open calls pebble.Open and recovers its panics, as over a log whose content makes no sense.
func open(dir string, o *pebble.Options) (db *pebble.DB, err error) {
	defer func() {
		if r := recover(); r != nil {
			cause, ok := r.(error)
			if !ok {
				cause = fmt.Errorf("%v", r)
			}
			db, err = nil, cause
		}
	}()
	return pebble.Open(dir, o)
}

// makeDir makes a directory and those above it, and syncs what they are in: a loss of power leaves a new store with all
// that it has synced.
func makeDir(dir string, files vfs.FS) error {
	above := filepath.Dir(dir)
	if above == dir {
		return nil
	}
	if _, err := files.Stat(above); errors.Is(err, fs.ErrNotExist) {
		if err := makeDir(above, files); err != nil {
			return err
		}
	}
	if err := files.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return syncDir(above, files)
}

// inspect reports whether the directory holds a store. It makes the directory if
// there is none.
func inspect(dir string, files vfs.FS) (exists bool, err error) {
	names, err := files.List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeDir(dir, files); err != nil {
			return false, openError(dir, err)
		}
		return false, nil
	}
	if err != nil {
		return false, openError(dir, err)
	}
	desc, err := pebble.Peek(dir, files)
	if err != nil {
		return false, openError(dir, err)
	}
	if desc.Exists {
		return true, nil
	}
	for _, name := range names {
		switch ext := filepath.Ext(name); {
		case name == witnessName:
			return false, &DirError{Dir: dir, Err: ErrCorrupt, Cause: fmt.Errorf("%s is there, the database is not", name), Remedy: restore}
		case ext == ".sst", ext == ".blob", ext == ".log":
			return false, &DirError{Dir: dir, Err: ErrCorrupt, Cause: fmt.Errorf("%s is there, the file that says which manifest counts is not", name), Remedy: restore}
		case name == lockName, ext == ".dbtmp", strings.HasPrefix(name, "marker."), strings.HasPrefix(name, "MANIFEST-"),
			strings.HasPrefix(name, "OPTIONS-"), strings.HasPrefix(name, "temporary."):
			// a file of a first opening that was interrupted
		default:
			return false, &DirError{Dir: dir, Err: ErrNotStore, Cause: fmt.Errorf("found %q", name), Remedy: "choose an empty or new directory"}
		}
	}
	return false, nil
}

func options(files vfs.FS, lock *pebble.Lock, log *fatal, readOnly bool) *pebble.Options {
	return &pebble.Options{
		FS:                 &logFiles{FS: files, errors: log},
		Lock:               lock,
		ReadOnly:           readOnly,
		CacheSize:          cacheSize,
		MemTableSize:       memTableSize,
		MaxOpenFiles:       maxOpenFiles,
		FormatMajorVersion: formatVersion,
		Logger:             log,
		EventListener: &pebble.EventListener{
			DataCorruption: func(i pebble.DataCorruptionInfo) { log.Fatalf("%s: %v", i.Path, i.Details) },
			BackgroundError: func(err error) { // of a flush or a compaction
				log.Fatalf("%s", err)
				time.Sleep(flushRetry) // Pebble tries again at once
			},
		},
		CompactionConcurrencyRange: func() (lower, upper int) {
			return 1, 1
		},
	}
}

func (p *pebbleDB) Get(key []byte) ([]byte, error) {
	if !validKey(key) {
		return nil, ErrBadKey
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	if err := p.usable(); err != nil {
		return nil, err
	}
	v, closer, err := p.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, p.error(err)
	}
	v = bytes.Clone(v)
	if v == nil {
		v = []byte{}
	}
	return v, p.error(closer.Close())
}

// usable returns nil, or the reason why the store cannot be used. The caller holds
// mu.
func (p *pebbleDB) usable() error {
	if p.closed {
		return ErrClosed
	}
	return p.openErr
}

func (p *pebbleDB) Scan(prefix []byte) (iter.Seq2[[]byte, []byte], func() error) {
	return p.ScanFrom(prefix, nil)
}

func (p *pebbleDB) ScanFrom(prefix, first []byte) (iter.Seq2[[]byte, []byte], func() error) {
	prefix, first = bytes.Clone(prefix), bytes.Clone(first)
	var err error
	return func(yield func(k, v []byte) bool) {
		err = p.scan(prefix, first, yield)
	}, func() error { return err }
}

func (p *pebbleDB) scan(prefix, first []byte, yield func(k, v []byte) bool) error {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if err := p.usable(); err != nil {
		return err
	}
	return p.error(iterate(p.db, prefix, first, yield))
}

// iterate calls yield for the entries whose key begins with prefix and is not less
// than first.
func iterate(db *pebble.DB, prefix, first []byte, yield func(k, v []byte) bool) (err error) {
	lower := slices.MaxFunc([][]byte{prefix, first, lowest}, bytes.Compare)
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: end(prefix)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		v, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		if !yield(it.Key(), v) {
			break
		}
	}
	return it.Error()
}

func (p *pebbleDB) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	p.closed = true
	return p.error(errors.Join(p.release(), p.lock.close()))
}

// release closes Pebble and the witness. The caller holds mu.
func (p *pebbleDB) release() error {
	if p.db == nil {
		return nil
	}
	err := p.db.Close()
	if err = errors.Join(err, p.log.err()); err == nil {
		err = p.witness.note(p.guard.generation) // Close has synced all
	}
	p.db = nil
	return errors.Join(err, p.witness.close())
}

// error classifies an error of an open store and adds the directory.
func (p *pebbleDB) error(err error) error {
	switch {
	case err == nil:
		return nil
	case damaged(err):
		return &DirError{Dir: p.dir, Err: ErrCorrupt, Cause: err, Remedy: restore}
	case readOnly(err):
		return &DirError{Dir: p.dir, Err: ErrPermission, Cause: err, Remedy: remount}
	case errors.Is(err, fs.ErrPermission):
		return &DirError{Dir: p.dir, Err: ErrPermission, Cause: err, Remedy: writable}
	default:
		return &DirError{Dir: p.dir, Err: ErrFailed, Cause: err, Remedy: "check the disk and its free space"}
	}
}

// fatal is Pebble's logger. It prints nothing, and keeps the first error after which
// Pebble would have ended the process: from then on nothing is written.
type fatal struct{ first atomic.Pointer[error] }

func (f *fatal) Infof(string, ...any)  {}
func (f *fatal) Errorf(string, ...any) {}
func (f *fatal) Fatalf(format string, args ...any) {
	err := fmt.Errorf(strings.ReplaceAll(format, "%s", "%v"), args...)
	for _, a := range args {
		if cause, ok := a.(error); ok {
			err = &quoted{err.Error(), cause}
			break
		}
	}
	f.first.CompareAndSwap(nil, &err)
}

func (f *fatal) err() error {
	if p := f.first.Load(); p != nil {
		return *p
	}
	return nil
}

// quoted is an error whose text already contains the text of its cause.
type quoted struct {
	text  string
	cause error
}

func (q *quoted) Error() string { return q.text }
func (q *quoted) Unwrap() error { return q.cause }
