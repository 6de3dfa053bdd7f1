//go:build !nodisk

package kv

import (
	"bytes"
	"errors"
	"path/filepath"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

func (c *pebbleClient) Apply(b *Batch, sync bool) error {
	if err := b.check(); err != nil {
		return err
	}
	p := c.pebbleDB
	if err := p.heal(); err != nil {
		return err
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	if err := p.usable(); err != nil {
		return err
	}
	if c.seen.Swap(p.reopenings) != p.reopenings {
		return ErrReopened
	}
	if err := p.log.err(); err != nil {
		return p.error(err) // writes after a failed one would not be recovered
	}
	batch, generation, err := p.commit(b, sync)
	if err != nil {
		return p.fail(err)
	}
	if sync {
		err = batch.SyncWait()
	}
	if err = errors.Join(err, p.log.err(), batch.Close()); err != nil { // Pebble only logs an error that stops its writes
		return p.fail(err)
	}
	if sync {
		if err := p.witness.note(generation); err != nil {
			return p.fail(err)
		}
	}
	return nil
}

// commit adds the guard to the batch and puts the batch into the queue of the log.
// Batches enter the queue one after the other, and wait for the disk together.
func (p *pebbleDB) commit(b *Batch, sync bool) (_ *pebble.Batch, generation uint64, err error) {
	p.commitMu.Lock()
	defer p.commitMu.Unlock()
	g := p.guard
	g.generation++
	ops := b.distinct()
	size := 64
	for _, o := range ops {
		size += len(o.key) + len(o.value) + 16
	}
	batch := p.db.NewBatchWithSize(size)
	defer func() {
		if err != nil {
			err = errors.Join(err, batch.Close())
		}
	}()
	guarded := slices.IndexFunc(ops, func(o op) bool { return o.key[0] == Bulk }) // they are last
	if guarded < 0 {
		guarded = len(ops)
	}
	if err := p.replaced(ops[:guarded], g.remove); err != nil {
		return nil, 0, err
	}
	for i, o := range ops {
		if o.delete {
			err = batch.Delete(o.key, nil)
		} else {
			if i < guarded {
				g.add(o.key, o.value)
			}
			err = batch.Set(o.key, o.value, nil)
		}
		if err != nil {
			return nil, 0, err
		}
	}
	if err := batch.Set(guardKey, g.bytes(), nil); err != nil {
		return nil, 0, err
	}
	if sync {
		err = p.db.ApplyNoSyncWait(batch, pebble.Sync)
	} else {
		err = p.db.Apply(batch, pebble.NoSync)
	}
	if err != nil {
		return nil, 0, err
	}
	p.guard = g
	return batch, g.generation, nil
}

// replaced calls visit for each entry in the store whose key is in ops. ops must be
// in the order of the keys: one iterator that goes forward finds them in a fraction
// of the time of single look-ups.
func (p *pebbleDB) replaced(ops []op, visit func(key, value []byte)) (err error) {
	if len(ops) == 0 {
		return nil
	}
	it, err := p.db.NewIter(&pebble.IterOptions{LowerBound: ops[0].key})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for _, o := range ops {
		if !it.SeekGE(o.key) {
			break // nothing is there, or an error
		}
		if !bytes.Equal(it.Key(), o.key) {
			continue
		}
		value, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		visit(o.key, value)
	}
	return it.Error()
}

// fail notes that a write failed: the next one opens the store anew.
func (p *pebbleDB) fail(err error) error {
	p.log.Fatalf("%s", err)
	return p.error(err)
}

// heal opens the store anew after its disk has failed. That may lose batches that
// were applied without sync, so the next Apply of each client reports it.
func (p *pebbleDB) heal() error {
	p.mu.RLock()
	broken := !p.closed && (p.openErr != nil || p.log.err() != nil)
	p.mu.RUnlock()
	if !broken {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrClosed
	}
	if p.db != nil {
		if p.log.err() == nil {
			return nil // another call has opened it meanwhile
		}
		if err := probe(p.dir, p.files); err != nil {
			return p.error(err) // the store stays open for reading
		}
		_ = p.release() // its error is known already
	}
	if err := p.open(true); err != nil {
		p.openErr = err
		return err
	}
	p.reopenings++
	return nil
}

// probe returns an error unless the disk has room for the files that Pebble writes
// when it opens the directory, such as tables with the content of its logs, and the
// directory can be synced. Pebble's Open would wait until it can write its tables.
func probe(dir string, files vfs.FS) (err error) {
	room := int64(memTableSize)
	names, err := files.List(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if !isLog(name) {
			continue
		}
		if info, err := files.Stat(filepath.Join(dir, name)); err == nil {
			room += info.Size()
		} else if !isNotExist(err) { // an open store may have removed the log
			return err
		}
	}
	name := filepath.Join(dir, "temporary.PROBE")
	f, err := files.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	chunk := make([]byte, 1<<20)
	for ; room > 0 && err == nil; room -= int64(len(chunk)) {
		_, err = f.Write(chunk)
	}
	if err == nil {
		err = f.Sync() // some file systems allocate only now
	}
	if err = errors.Join(err, f.Close(), files.Remove(name)); err != nil {
		return err
	}
	d, err := files.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
