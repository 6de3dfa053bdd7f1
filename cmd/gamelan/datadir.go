package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/adrg/xdg"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/internal/datadir"
)

// dataDir is the directory of one node. args is how a person names it on a
// command line, with a space before it, or empty where that is not needed.
type dataDir struct{ path, args string }

// defaultDataDir is gamelan in the directory that XDG has for data.
func defaultDataDir() string { return filepath.Join(xdg.DataHome, "gamelan") }

// newDataDir is a directory that was named with --data-dir.
func newDataDir(path string) dataDir { return dataDir{path, " --data-dir " + shellQuote(path)} }

func (d dataDir) identity() string { return filepath.Join(d.path, "identity.json") }
func (d dataDir) socket() string   { return filepath.Join(d.path, inspect.SocketName) }
func (d dataDir) token() string    { return filepath.Join(d.path, "token") }
func (d dataDir) lock() string     { return filepath.Join(d.path, "gamelan.lock") }

// command is a command line of gamelan for this directory, to be pasted.
func (d dataDir) command(verb string) string {
	return "gamelan " + verb + d.args
}

// make makes the directory, private to its owner, unless it is there; one that
// is must be a directory of ours, or of root, that nobody else can change.
func (d dataDir) make() error {
	if info, err := os.Stat(d.path); err == nil && !info.IsDir() {
		return failed("data_dir", "choose another one with --data-dir", "%s is not a directory", d.path)
	}
	dir, err := datadir.Make(d.path)
	if err != nil {
		return unusable(d.path, err)
	}
	return dir.Close()
}

// unusable says of a file or directory that the system does not let us use it.
func unusable(path string, err error) error {
	if u, ok := errors.AsType[*datadir.UnsafeError](err); ok {
		return &failure{exitFailed, "data_dir", u.What(), u.Remedy(shellQuote), err}
	}
	reason := err.Error()
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		reason = p.Err.Error()
	}
	hint := "choose another directory with --data-dir"
	if errors.Is(err, fs.ErrPermission) {
		hint = "run gamelan as the owner of it, or " + hint
	}
	return &failure{exitFailed, "data_dir", path + " cannot be used: " + reason, hint, err}
}

// shellQuote makes s one word of a shell.
func shellQuote(s string) string {
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
