// Package nodedir holds what stands in the data directory of a node: its
// identity, the lock that lets one node run in it, and how to reach that node.
package nodedir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/adrg/xdg"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/internal/datadir"
)

// Dir is the directory of one node. Args is how a person names it on a
// command line, with a space before it, or empty where that is not needed.
type Dir struct{ Path, Args string }

// Default is gamelan in the directory that XDG has for data.
func Default() string { return filepath.Join(xdg.DataHome, "gamelan") }

// Named is a directory that was named with --data-dir.
func Named(path string) Dir { return Dir{path, " --data-dir " + Quote(path)} }

// IdentityFile is where the key of the node is.
func (d Dir) IdentityFile() string { return filepath.Join(d.Path, "identity.json") }

// Socket is where the running node answers.
func (d Dir) Socket() string { return filepath.Join(d.Path, inspect.SocketName) }

// TokenFile is where the running node writes its token.
func (d Dir) TokenFile() string { return filepath.Join(d.Path, "token") }

// LockFile is the file that a running node holds locked.
func (d Dir) LockFile() string { return filepath.Join(d.Path, "gamelan.lock") }

// Command is a command line of gamelan for this directory, to be pasted.
func (d Dir) Command(verb string) string {
	return "gamelan " + verb + d.Args
}

// Make makes the directory, private to its owner, unless it is there; one that
// is must be a directory of ours, or of root, that nobody else can change.
func (d Dir) Make() error {
	if info, err := os.Stat(d.Path); err == nil && !info.IsDir() {
		return failure.New("data_dir", "choose another one with --data-dir", "%s is not a directory", d.Path)
	}
	dir, err := datadir.Make(d.Path)
	if err != nil {
		return Unusable(d.Path, err)
	}
	return dir.Close()
}

// Check says what keeps a node from using the directory; it changes nothing. One
// that is not there is right.
func (d Dir) Check() error {
	if err := datadir.Check(d.Path); err != nil {
		return Unusable(d.Path, err)
	}
	return nil
}

// Unusable says of a file or directory that the system does not let us use it.
func Unusable(path string, err error) error {
	if u, ok := errors.AsType[*datadir.UnsafeError](err); ok {
		return failure.New("data_dir", u.Remedy(Quote), "%s", u.What()).Because(err)
	}
	hint := "choose another directory with --data-dir"
	if errors.Is(err, fs.ErrPermission) {
		hint = "run gamelan as the owner of it, or " + hint
	}
	return failure.New("data_dir", hint, "%s cannot be used: %s", path, failure.Reason(err)).Because(err)
}

// Quote makes s one word of a shell.
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
