//go:build !windows

// Package replace writes files as a whole.
package replace

import (
	"io"

	"github.com/google/renameio/v2"
)

// File writes a file as a whole or not at all, for its owner only.
func File(path string, r io.Reader) error {
	f, err := renameio.NewPendingFile(path, renameio.WithStaticPermissions(0o600))
	if err != nil {
		return err
	}
	defer f.Cleanup()
	if _, err := io.Copy(f, r); err != nil {
		return err
	}
	return f.CloseAtomicallyReplace()
}
