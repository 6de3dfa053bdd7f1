package main

import (
	"fmt"

	"github.com/gofrs/flock"

	"github.com/gamelan-p2p/gamelan"
)

// hold takes the lock of this directory, so that one node runs in it at a
// time. The lock ends with the process, however that ends.
func (d dataDir) hold() (release func(), err error) {
	l := flock.New(d.lock(), flock.SetPermissions(0o600))
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
func (d dataDir) embedded() bool {
	if !gamelan.InUse(d.path) {
		return false
	}
	release, err := d.hold()
	if err != nil {
		return false // gamelan node, which is starting or has gone wrong
	}
	release()
	return true
}
