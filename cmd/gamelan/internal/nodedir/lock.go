package nodedir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/internal/datadir"
	"github.com/gamelan-p2p/gamelan/internal/kv"
)

// Hold takes the lock of this directory, so that one node runs in it at a
// time. The lock ends with the process, however that ends.
func (d Dir) Hold() (release func(), err error) {
	dir, err := datadir.Open(d.Path, datadir.Group(d.Group))
	if err == nil {
		err = dir.CheckFile(filepath.Base(d.LockFile()))
		dir.Close()
	}
	if err != nil {
		return nil, Unusable(d.Path, err)
	}
	l := flock.New(d.LockFile(), flock.SetFlag(os.O_CREATE|os.O_RDONLY|datadir.NoFollow), flock.SetPermissions(0o600))
	ok, err := l.TryLock()
	switch {
	case err != nil:
		return nil, Unusable(d.LockFile(), err)
	case !ok:
		return nil, failure.New("running", fmt.Sprintf("look at it with %q, stop it first, or choose another directory with --data-dir", d.Command("tree")),
			"a node is running in %s already", d.Path)
	}
	return func() { _ = l.Unlock() }, nil
}

// Embedded reports whether the node in this directory runs inside another program than
// gamelan node. gamelan node takes the lock before it opens the store, and holds it even
// when it fails. Other callers of Embedded share the lock for a moment.
func (d Dir) Embedded() bool {
	if !d.Used() {
		return false
	}
	if _, err := os.Stat(d.LockFile()); errors.Is(err, fs.ErrNotExist) {
		return true
	}
	l := flock.New(d.LockFile(), flock.SetFlag(os.O_RDONLY|datadir.NoFollow)) // and does not make the file
	free, err := l.TryRLock()
	if free {
		_ = l.Unlock()
	}
	return free && err == nil
}

// Used reports whether a node has the store of this directory open. It takes no lock: a node
// that starts at this moment would not get it.
func (d Dir) Used() bool {
	used, err := kv.InUse(filepath.Join(d.Path, kv.StoreDir))
	return err == nil && used
}
