package nodedir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/internal/datadir"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Create makes a new identity in d, which must not have one: for a network, or for the private one with
// that name, unless it is "".
func (d Dir) Create(network protocol.Network, private string) (id gamelan.Identity, err error) {
	if err := d.Make(); err != nil {
		return gamelan.Identity{}, err
	}
	if private != "" {
		id, err = d.node().CreatePrivateIdentity(private)
	} else {
		id, err = d.node().CreateIdentity(network)
	}
	if errors.Is(err, gamelan.ErrIdentityExists) {
		if _, err := d.Load(); isUnsafe(err) { // a link, above all
			return id, err
		}
		return id, failure.New("identity", fmt.Sprintf("show it with %q, or choose another directory with --data-dir", d.Command("id")),
			"there is an identity in %s already", d.Path).Because(err)
	}
	if err != nil {
		return id, Unusable(d.IdentityFile(), err)
	}
	return id, nil
}

// node returns the directory as the library has it.
func (d Dir) node() gamelan.DataDir { return gamelan.DataDir{Path: d.Path, Group: d.Group} }

// moreThanOpen reports whether more is wrong than that others may read the identity.
func moreThanOpen(err error) bool {
	u, ok := errors.AsType[*datadir.UnsafeError](err)
	return ok && len(u.More) > 0
}

func isUnsafe(err error) bool {
	_, ok := errors.AsType[*datadir.UnsafeError](err)
	return ok
}

// Load reads the identity in d. It changes nothing.
func (d Dir) Load() (gamelan.Identity, error) {
	id, err := d.node().LoadIdentity()
	if err == nil {
		return id, nil
	}
	path := d.IdentityFile()
	f := failure.New("identity", "", "").Because(err)
	switch {
	case errors.Is(err, gamelan.ErrNoIdentity):
		f.Kind, f.Message, f.Hint = "no_identity", "there is no identity in "+d.Path, fmt.Sprintf("make one with %q", d.Command("init"))
	case errors.Is(err, gamelan.ErrIdentityOpen) && moreThanOpen(err):
		return id, Unusable(path, err)
	case errors.Is(err, gamelan.ErrIdentityOpen):
		f.Message = fmt.Sprintf("%s can be read by others (mode %04o)", path, permissions(path))
		f.Hint = fmt.Sprintf("make it private with \"chmod 600 %s\", and make a new identity if somebody may have seen it", Quote(path))
	case errors.Is(err, gamelan.ErrIdentityDamaged):
		f.Message = path + " is damaged" + detail(err, gamelan.ErrIdentityDamaged)
		f.Hint = fmt.Sprintf("restore it from a copy, or move it away and run %q for a new identity", d.Command("init"))
	case errors.Is(err, gamelan.ErrIdentityNewer):
		f.Message = path + " was written by a newer gamelan" + detail(err, gamelan.ErrIdentityNewer)
		f.Hint = "use that one, or another directory with --data-dir"
	default:
		return id, Unusable(path, err)
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

// detail returns the text in brackets after the text of class in err.
func detail(err, class error) string {
	_, rest, _ := strings.Cut(err.Error(), class.Error())
	open, end := strings.IndexByte(rest, '('), strings.LastIndexByte(rest, ')')
	if open < 0 || end < open {
		return ""
	}
	return " " + rest[open:end+1]
}
