//go:build !nodisk

package kvtest

import (
	"errors"
	"path/filepath"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/gamelan-p2p/gamelan/internal/kv"
)

// Disk is a disk in memory that can fail. The store on it is the real one, so
// it loses data and reports errors as a store in a directory does. While the disk
// fails, its cache accepts writes to the store's log and loses them; the next sync
// of that log, however late, reports it. All other writes fail.
type Disk struct {
	files vfs.FS
	mu    sync.Mutex
	cause error // error of every write; nil: no write fails
}

// NewDisk returns an empty disk.
func NewDisk() *Disk {
	d := &Disk{}
	d.files = errorfs.Wrap(diskFiles{vfs.NewMem(), d}, errorfs.InjectorFunc(func(op errorfs.Op) error {
		switch op.Kind {
		case errorfs.OpFileWrite:
			if filepath.Ext(op.Path) != ".log" {
				return d.err()
			}
		case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo, errorfs.OpCreate, errorfs.OpReuseForWrite:
			return d.err()
		}
		return nil
	}))
	return d
}

func (d *Disk) err() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.cause
}

// Open opens the store on the disk.
func (d *Disk) Open() (kv.DB, error) { return kv.OpenPebbleOn("/store", d.files) }

// Fail makes every write fail with cause. Fail(nil) repairs the disk.
func (d *Disk) Fail(cause error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cause = cause
}

// diskFiles is the file system of a Disk. It skips the probe for free space, which
// would write megabytes, and its logs can lose writes.
type diskFiles struct {
	vfs.FS
	disk *Disk
}

func (d diskFiles) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := d.FS.Create(name, category)
	return d.wrap(name, f, err)
}

func (d diskFiles) ReuseForWrite(from, to string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := d.FS.ReuseForWrite(from, to, category)
	return d.wrap(to, f, err)
}

func (d diskFiles) wrap(name string, f vfs.File, err error) (vfs.File, error) {
	switch {
	case err != nil:
		return nil, err
	case filepath.Ext(name) == ".PROBE":
		return swallowing{f}, nil
	case filepath.Ext(name) == ".log":
		return &cached{File: f, disk: d.disk}, nil
	}
	return f, nil
}

// cached is a log in the disk's cache. All writes after a lost one are lost as
// well.
type cached struct {
	vfs.File
	disk *Disk
	mu   sync.Mutex
	lost error
}

func (c *cached) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lost == nil {
		c.lost = c.disk.err()
	}
	if c.lost != nil {
		return len(p), nil
	}
	return c.File.Write(p)
}

func (c *cached) err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lost
}

func (c *cached) Sync() error     { return errors.Join(c.err(), c.File.Sync()) }
func (c *cached) SyncData() error { return errors.Join(c.err(), c.File.SyncData()) }

func (c *cached) SyncTo(length int64) (bool, error) {
	full, err := c.File.SyncTo(length)
	return full, errors.Join(c.err(), err)
}

type swallowing struct{ vfs.File }

func (swallowing) Write(p []byte) (int, error) { return len(p), nil }
