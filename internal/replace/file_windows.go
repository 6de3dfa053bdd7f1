package replace

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// File writes a file as a whole or not at all. Who may read it follows
// from the directory that it is in.
func File(path string, r io.Reader) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	_, err = io.Copy(f, r)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// Like is File: the folder says who may read the file.
func Like(path string, _ fs.FileInfo, r io.Reader) error { return File(path, r) }
