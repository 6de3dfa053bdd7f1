package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"

	"github.com/gamelan-p2p/gamelan/internal/datadir"
	"github.com/gamelan-p2p/gamelan/internal/kv"
)

// hold takes the lock of this directory, so that one node runs in it at a
// time. The lock ends with the process, however that ends.
func (d dataDir) hold() (release func(), err error) {
	dir, err := datadir.Open(d.path)
	if err == nil {
		err = dir.CheckFile(filepath.Base(d.lock()))
		dir.Close()
	}
	if err != nil {
		return nil, unusable(d.path, err)
	}
	l := flock.New(d.lock(), flock.SetFlag(os.O_CREATE|os.O_RDONLY|datadir.NoFollow), flock.SetPermissions(0o600))
	ok, err := l.TryLock()
	switch {
	case err != nil:
		return nil, unusable(d.lock(), err)
	case !ok:
		return nil, failed("running", fmt.Sprintf("look at it with %q, stop it first, or choose another directory with --data-dir", d.command("tree")),
			"a node is running in %s already", d.path)
	}
	return func() { _ = l.Unlock() }, nil
}

// embedded tells whether a node runs in this directory that is not gamelan node.
// A gamelan node that is starting or has gone wrong holds the lock, which it took
// before it opened the store. Others who look share it for that moment.
func (d dataDir) embedded() bool {
	if !d.used() {
		return false
	}
	if _, err := os.Stat(d.lock()); errors.Is(err, fs.ErrNotExist) {
		return true
	}
	l := flock.New(d.lock(), flock.SetFlag(os.O_RDONLY|datadir.NoFollow)) // and does not make the file
	free, err := l.TryRLock()
	if free {
		_ = l.Unlock()
	}
	return free && err == nil
}

// used tells whether a node has the store of this directory open. It takes no
// lock, which a node that starts at this moment would be refused.
func (d dataDir) used() bool {
	used, err := kv.InUse(filepath.Join(d.path, kv.StoreDir))
	return err == nil && used
}
