//go:build !nodisk

package kv

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// schemaKey holds the version of the layout, as decimal text.
var schemaKey = []byte("\x00schema")

// state describes the content of a store that was examined.
type state struct {
	schema int // 0: its first opening was interrupted
	guard  guard
}

// examine opens the store for reading only and checks all of it but bulk entries, because
// Pebble writes as soon as it opens a store for writing. If visit is not nil, examine calls
// it for every entry, and so checks bulk ones as well.
func examine(dir string, files vfs.FS, lock *pebble.Lock, visit func(key, value []byte)) (s state, err error) {
	log := &fatal{}
	db, err := open(dir, options(files, lock, log, true))
	if err != nil {
		return s, openError(dir, err)
	}
	s, err = look(db, dir, files, visit)
	if err = errors.Join(err, db.Close(), log.err()); err != nil {
		return s, openError(dir, err)
	}
	return s, nil
}

func look(db *pebble.DB, dir string, files vfs.FS, visit func(key, value []byte)) (s state, err error) {
	if s.schema, err = readSchema(db); err != nil {
		return s, err
	}
	if s.schema > Schema {
		return s, &DirError{
			Dir: dir, Err: ErrNewerSchema, Cause: fmt.Errorf("schema %d, this release knows %d", s.schema, Schema),
			Remedy: "run the newer release, or start with another directory",
		}
	}
	stored, guarded, err := readGuard(db)
	if err != nil {
		return s, err
	}
	reached, err := readWitness(dir, files)
	if err != nil {
		return s, err
	}
	found, err := countGuard(db, visit)
	if err != nil {
		return s, err
	}
	found.generation = stored.generation
	s.guard = found
	switch {
	case reached > stored.generation:
		return s, fmt.Errorf("%w: it holds generation %d, and %d was written", ErrCorrupt, stored.generation, reached)
	case s.schema == 0 && found.count > 0:
		return s, fmt.Errorf("%w: it has %d entries and no schema version", ErrCorrupt, found.count)
	case s.schema >= 2 && !guarded, s.schema < 2 && guarded:
		return s, fmt.Errorf("%w: a guard does not go with schema %d", ErrCorrupt, s.schema)
	case guarded && found != stored:
		return s, fmt.Errorf("%w: it has %d entries of %d, or others", ErrCorrupt, found.count, stored.count)
	}
	return s, nil
}

// readSchema returns the version of the layout; a store whose first opening was
// interrupted has none yet and is empty.
func readSchema(db *pebble.DB) (version int, err error) {
	value, closer, err := db.Get(schemaKey)
	if errors.Is(err, pebble.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	text := string(value)
	if err := closer.Close(); err != nil {
		return 0, err
	}
	if version, err = strconv.Atoi(text); err != nil || version < 1 || text != strconv.Itoa(version) {
		return 0, fmt.Errorf("%w: schema version %q", ErrCorrupt, text)
	}
	return version, nil
}

// settle upgrades an open store to this schema, in one batch, so that an interrupted
// upgrade begins again. The caller has copied a store of an older schema.
func settle(db *pebble.DB, s *state) error {
	if s.schema == Schema {
		return nil
	}
	s.guard.generation++
	b := db.NewBatch()
	defer b.Close()
	err := errors.Join(
		b.Set(schemaKey, strconv.AppendInt(nil, Schema, 10), nil),
		b.Set(guardKey, s.guard.bytes(), nil),
	)
	if err != nil {
		return err
	}
	return b.Commit(pebble.Sync)
}

// backupDir returns the directory for the copy of a store of an older schema: the
// first free name beside the store's own directory.
func backupDir(dir string, schema int, files vfs.FS) (string, error) {
	base := fmt.Sprintf("%s.schema-%d", dir, schema)
	for n := 1; n < 1000; n++ {
		name := base
		if n > 1 {
			name += "-" + strconv.Itoa(n)
		}
		if _, err := files.Stat(name); isNotExist(err) {
			return name, nil
		} else if err != nil {
			return "", err
		}
	}
	return "", fmt.Errorf("too many copies like %s: %w; remove some", base, fs.ErrExist)
}

// backup copies every file of the store, which must not be open. After an error it
// removes the copy: the disk may be full.
func backup(dir string, schema int, files vfs.FS) (err error) {
	to, err := backupDir(dir, schema, files)
	if err != nil {
		return err
	}
	draft := to + ".part" // may be left by an interrupted upgrade
	if err := files.RemoveAll(draft); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, files.RemoveAll(draft)) // does nothing after the rename
		}
	}()
	if err := files.MkdirAll(draft, 0o700); err != nil {
		return err
	}
	names, err := files.List(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if name == lockName {
			continue
		}
		if err := vfs.Copy(files, filepath.Join(dir, name), filepath.Join(draft, name)); err != nil {
			return err
		}
	}
	if err := syncDir(draft, files); err != nil {
		return err
	}
	if err := files.Rename(draft, to); err != nil {
		return err
	}
	return syncDir(filepath.Dir(dir), files)
}

// Check is a dry run of opening the store in dir: it reads all of it and changes
// nothing. It calls visit, if not nil, for every entry; key and value are valid until
// visit returns. The errors are those of OpenPebble.
func Check(dir string, visit func(key, value []byte)) (Report, error) {
	return checkStore(dir, vfs.Default, visit)
}

func checkStore(dir string, files vfs.FS, visit func(key, value []byte)) (r Report, err error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return r, fmt.Errorf("kv: check %s: %w", dir, err)
	}
	if _, err := files.Stat(abs); isNotExist(err) {
		return r, nil
	}
	if r.Exists, err = inspect(abs, files); err != nil || !r.Exists {
		return r, err
	}
	lock, err := lockDirectory(abs, files)
	if err != nil {
		return r, lockError(abs, err)
	}
	defer func() { err = errors.Join(err, lock.close()) }()
	s, err := examine(abs, files, lock.pebble, visit)
	if err != nil {
		return r, err
	}
	r.Schema, r.Entries = s.schema, int(s.guard.count)
	names, err := files.List(abs)
	if err != nil {
		return r, openError(abs, err)
	}
	for _, name := range names {
		info, err := files.Stat(filepath.Join(abs, name))
		if err != nil {
			return r, openError(abs, err)
		}
		r.Bytes += info.Size()
	}
	if r.Upgrade = s.schema > 0 && s.schema < Schema; r.Upgrade {
		if r.Backup, err = backupDir(abs, s.schema, files); err != nil {
			return r, openError(abs, err)
		}
	}
	return r, nil
}
