//go:build !windows

// Package replace writes files as a whole.
package replace

import (
	"errors"
	"io"
	"io/fs"

	"github.com/google/renameio/v2"

	"github.com/gamelan-p2p/gamelan/internal/datadir"
)

// File writes a file as a whole or not at all, for its owner only.
func File(path string, r io.Reader) error {
	return write(path, r, func(*renameio.PendingFile) error { return nil })
}

// Like is File with the owner, the group and the mode of another file, such as the one in its place. The
// file has them before it gets its name, so that nobody finds it without.
func Like(path string, like fs.FileInfo, r io.Reader) error {
	return write(path, r, func(f *renameio.PendingFile) error {
		uid, gid, ok := datadir.OwnerOf(like)
		if !ok {
			return nil
		}
		return errors.Join(f.Chown(uid, gid), f.Chmod(like.Mode().Perm()))
	})
}

func write(path string, r io.Reader, prepare func(*renameio.PendingFile) error) error {
	f, err := renameio.NewPendingFile(path, renameio.WithStaticPermissions(0o600))
	if err != nil {
		return err
	}
	defer f.Cleanup()
	if _, err := io.Copy(f, r); err != nil {
		return err
	}
	if err := prepare(f); err != nil {
		return err
	}
	return f.CloseAtomicallyReplace()
}
