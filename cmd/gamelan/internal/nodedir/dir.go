// Package nodedir handles the files in the data directory of a node: its identity, the
// lock by which only one node runs in it, the socket and the token.
package nodedir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/adrg/xdg"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/internal/datadir"
)

// Dir is the directory of one node. Args is the option that names it on a command line, with
// a space before it, or "" for the default directory.
type Dir struct {
	Path, Args string
	Group      int // see gamelan.Config.DataDirGroup
}

// Default returns the directory gamelan in the data directory of XDG.
func Default() string { return filepath.Join(xdg.DataHome, "gamelan") }

// Named returns the Dir of a directory named with --data-dir.
func Named(path string) Dir { return Dir{Path: path, Args: " --data-dir " + Quote(path)} }

// IdentityFile returns the path of the file with the node's key.
func (d Dir) IdentityFile() string { return filepath.Join(d.Path, "identity.json") }

// Socket returns the path of the socket on which the running node answers.
func (d Dir) Socket() string { return filepath.Join(d.Path, inspect.SocketName) }

// TokenFile returns the path of the file with the running node's token.
func (d Dir) TokenFile() string { return filepath.Join(d.Path, inspect.TokenName) }

// ReadTokenFile returns the path of the file with the token of those who only look at the node, over TCP.
func (d Dir) ReadTokenFile() string { return filepath.Join(d.Path, inspect.ReadTokenName) }

// LockFile returns the path of the file that a running node locks.
func (d Dir) LockFile() string { return filepath.Join(d.Path, "gamelan.lock") }

// maxAddress bounds the file of the kept address, in bytes.
const maxAddress = 256

// KeptAddress returns the address that a node without the setting node.listen had last and takes
// again, as a list of one; it is empty if there is none.
func (d Dir) KeptAddress() []string {
	dir, err := datadir.Look(d.Path)
	if err != nil {
		return nil
	}
	defer dir.Close()
	b, _, err := dir.ReadFile("listen", maxAddress, false) // gamelan.Start writes it
	if err != nil {
		return nil
	}
	return strings.Fields(string(b))
}

// Command returns a command line of gamelan for this directory, for pasting.
func (d Dir) Command(verb string) string {
	return "gamelan " + verb + d.Args
}

// Make makes the directory, private to its owner, unless it exists. An existing one must
// belong to this user or to root, and no other user may write in it.
func (d Dir) Make() error {
	if info, err := os.Stat(d.Path); err == nil && !info.IsDir() {
		return failure.New("data_dir", "choose another one with --data-dir", "%s is not a directory", d.Path)
	}
	dir, err := datadir.Make(d.Path, datadir.Group(d.Group))
	if err != nil {
		return Unusable(d.Path, err)
	}
	return dir.Close()
}

// Check returns an error if a node could not use the directory. It changes nothing. A
// directory that does not exist is no error.
func (d Dir) Check() error {
	if err := datadir.Check(d.Path, datadir.Group(d.Group)); err != nil {
		return Unusable(d.Path, err)
	}
	return nil
}

// Unusable returns the failure for a file or directory that the system does not let this
// user use.
func Unusable(path string, err error) error {
	if u, ok := errors.AsType[*datadir.UnsafeError](err); ok {
		return failure.New("data_dir", u.Remedy(Quote), "%s", u.What()).Because(err)
	}
	hint := "choose another directory with --data-dir"
	switch {
	case errors.Is(err, syscall.ENOSPC):
		hint = "make room on its disk, or " + hint
	case errors.Is(err, fs.ErrPermission):
		hint = "run gamelan as the owner of it, or " + hint
	}
	return failure.New("data_dir", hint, "%s cannot be used: %s", path, failure.Reason(err)).Because(err)
}

// Quote returns s quoted as one word of a shell.
func Quote(s string) string {
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
		case r == '/', r == '.', r == '-', r == '_', r == '~', r == '+', r == ',', r == ':', r == '@':
		default:
			return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
		}
	}
	return s
}
