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
	ErrDamaged = kv.ErrCorrupt     // its files are not as they were written
	ErrNewer   = kv.ErrNewerSchema // a newer release has written it
	ErrDenied  = kv.ErrPermission  // it may not be read or written
	ErrForeign = kv.ErrNotStore    // the directory holds other files
	ErrDisk    = kv.ErrFailed      // the disk is full or broken
	ErrNoDisk  = kv.ErrNoDisk      // the program was built with the tag nodisk
)

// DirError names a store's directory, the problem and the remedy.
type DirError = kv.DirError

// Report describes a peer store on disk and what opening it will do.
type Report struct {
	Exists  bool
	Schema  int // version of its layout; 0: none yet
	Current int // of this release
	Peers   int
	Damaged int    // records that cannot be read
	Bytes   int64  // of all files
	Upgrade bool   // opening upgrades the store
	Backup  string // directory of the copy that is made before
}

// Check examines the peer store in dir and changes nothing. The errors are those of
// opening the store. Check calls each visit for every entry, also for those of other
// parts that share the store; key and value are valid until visit returns.
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
