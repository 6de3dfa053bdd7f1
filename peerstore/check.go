package peerstore

import (
	"bytes"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/kv"
)

// Errors of opening a store's directory, of [Check] and of commits. They come
// inside a [DirError].
var (
	ErrInUse   = kv.ErrLocked      // another node has it open
	ErrDamaged = kv.ErrCorrupt     // it is not what was written
	ErrNewer   = kv.ErrNewerSchema // a newer release has written it
	ErrDenied  = kv.ErrPermission  // it may not be read or written
	ErrForeign = kv.ErrNotStore    // the directory holds other files
	ErrDisk    = kv.ErrFailed      // the disk is full or broken
)

// DirError names a store's directory, what is wrong with it and what to do.
type DirError = kv.DirError

// Report says what a peer store on disk holds and what opening it will do.
type Report struct {
	Exists  bool
	Schema  int // version of its layout; 0: none yet
	Current int // of this release
	Peers   int
	Damaged int    // records that cannot be read
	Bytes   int64  // of all files
	Upgrade bool   // opening upgrades the store
	Backup  string // the directory that it is copied to before
}

// Check looks at the peer store in a directory of its own and changes nothing.
// The errors are those of opening it. Whoever shares the store sees its entries
// with visit; key and value are valid until it returns.
func Check(dir string, visit ...func(key, value []byte)) (r Report, err error) {
	s := newShared()
	found, err := kv.Check(dir, func(key, value []byte) {
		for _, v := range visit {
			v(key, value)
		}
		if !bytes.HasPrefix(key, []byte{keyPrefix}) {
			return
		}
		id, err := identity.NodeIDFromBytes(key[1:])
		if err == nil {
			_, err = decodeRecord(value, id, s)
		}
		if err != nil {
			r.Damaged++
		} else {
			r.Peers++
		}
	})
	if err != nil {
		return Report{}, err
	}
	r.Exists, r.Schema, r.Current, r.Bytes = found.Exists, found.Schema, kv.Schema, found.Bytes
	r.Upgrade, r.Backup = found.Upgrade, found.Backup
	return r, nil
}
