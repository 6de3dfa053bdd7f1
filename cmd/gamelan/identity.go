package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// create makes a new identity in d, which must not have one.
func (d dataDir) create(network protocol.Network) (gamelan.Identity, error) {
	if err := d.make(); err != nil {
		return gamelan.Identity{}, err
	}
	id, err := gamelan.CreateIdentity(d.path, network)
	if errors.Is(err, gamelan.ErrIdentityExists) {
		return id, &failure{
			exitFailed, "identity", "there is an identity in " + d.path + " already",
			fmt.Sprintf("show it with %q, or choose another directory with --data-dir", d.command("id")), err,
		}
	}
	if err != nil {
		return id, unusable(d.identity(), err)
	}
	return id, nil
}

// load reads the identity in d. It changes nothing.
func (d dataDir) load() (gamelan.Identity, error) {
	id, err := gamelan.LoadIdentity(d.path)
	if err == nil {
		return id, nil
	}
	path := d.identity()
	f := &failure{exitFailed, "identity", "", "", err}
	switch {
	case errors.Is(err, gamelan.ErrNoIdentity):
		f.kind, f.message, f.hint = "no_identity", "there is no identity in "+d.path, fmt.Sprintf("make one with %q", d.command("init"))
	case errors.Is(err, gamelan.ErrIdentityOpen):
		f.message = fmt.Sprintf("%s can be read by others (mode %04o)", path, permissions(path))
		f.hint = fmt.Sprintf("make it private with \"chmod 600 %s\", and make a new identity if somebody may have seen it", shellQuote(path))
	case errors.Is(err, gamelan.ErrIdentityDamaged):
		f.message = path + " is damaged" + detail(err, gamelan.ErrIdentityDamaged)
		f.hint = fmt.Sprintf("restore it from a copy, or move it away and run %q for a new identity", d.command("init"))
	case errors.Is(err, gamelan.ErrIdentityNewer):
		f.message = path + " was written by a newer gamelan" + detail(err, gamelan.ErrIdentityNewer)
		f.hint = "use that one, or another directory with --data-dir"
	default:
		return id, unusable(path, err)
	}
	return id, f
}

func permissions(path string) fs.FileMode {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Mode().Perm()
}

// detail is what stands in brackets after the text of class in err.
func detail(err, class error) string {
	_, rest, _ := strings.Cut(err.Error(), class.Error())
	open, end := strings.IndexByte(rest, '('), strings.LastIndexByte(rest, ')')
	if open < 0 || end < open {
		return ""
	}
	return " " + rest[open:end+1]
}
