package nodedir

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gofrs/flock"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/datadir"
	"github.com/gamelan-p2p/gamelan/internal/replace"
)

// Names are the public keys of peers by the names that the user of the directory has given
// them. The node does not know the names: the command writes the key in their place.
type Names map[string]identity.PublicKey

const (
	// MaxName is the length of the longest name, in bytes.
	MaxName = 32
	// MaxNames is the number of names in a directory.
	MaxNames = 1000

	maxNamesFile = 256 << 10
)

// Sorted returns the names in alphabetical order.
func (n Names) Sorted() []string { return slices.Sorted(maps.Keys(n)) }

// CheckName refuses a text that cannot be the name of a peer: what could be a public key, a
// node id or the beginning of one, an address, or an option.
func CheckName(name string) error {
	refuse := func(why string) error {
		return failure.Usage("choose a name of 1 to 32 letters, digits, dots, dashes and underscores that begins with a letter, such as bob", "%q cannot be a name: %s", name, why)
	}
	letter := func(c rune) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
	other := func(c rune) bool { return !letter(c) && (c < '0' || c > '9') && c != '.' && c != '-' && c != '_' }
	switch {
	case name == "":
		return refuse("it is empty")
	case len(name) > MaxName:
		return refuse("it is too long")
	case strings.ContainsFunc(name, other), !letter(rune(name[0])):
		return refuse("it has other characters")
	case strings.Trim(name, "0123456789abcdefABCDEF") == "":
		return refuse("it looks like the beginning of a key or of a node id")
	}
	return nil
}

// IsName reports whether a text can be the name of a peer.
func IsName(text string) bool { return CheckName(text) == nil }

// NamesFile returns the path of the file with the names of peers.
func (d Dir) NamesFile() string { return filepath.Join(d.Path, "names.json") }

// ReadNames reads the names of peers. Without a file there are none.
func (d Dir) ReadNames() (Names, error) {
	var b []byte
	dir, err := datadir.Look(d.Path)
	if err == nil {
		defer dir.Close()
		b, _, err = dir.ReadFile(filepath.Base(d.NamesFile()), maxNamesFile, false)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return Names{}, nil
	}
	if err != nil {
		return nil, Unusable(d.NamesFile(), err)
	}
	texts, names := map[string]string{}, Names{}
	if err = json.Unmarshal(b, &texts); err == nil {
		for name, text := range texts {
			if names[name], err = identity.ParsePublicKey(text); err != nil {
				break
			}
		}
	}
	if err != nil {
		return nil, failure.New("names", "mend it, or remove it and give the names again", "%s is damaged: %s", d.NamesFile(), failure.Text(err)).Because(err)
	}
	return names, nil
}

// NamesOfNodes returns the name of each node id that has one, for a page; none if the file cannot be read.
func (d Dir) NamesOfNodes() map[string]string {
	names, err := d.ReadNames()
	if err != nil {
		return nil
	}
	of := make(map[string]string, len(names))
	for name, key := range names {
		of[key.NodeID().String()] = name
	}
	return of
}

// ChangeNames changes the names of peers, one process at a time.
func (d Dir) ChangeNames(change func(Names) error) error {
	lock := flock.New(d.NamesFile()+".lock", flock.SetFlag(os.O_CREATE|os.O_RDONLY|datadir.NoFollow), flock.SetPermissions(0o600))
	if err := lock.Lock(); err != nil {
		return Unusable(d.NamesFile(), err)
	}
	defer func() { _ = lock.Unlock() }()
	names, err := d.ReadNames()
	if err == nil {
		err = change(names)
	}
	if err != nil {
		return err
	}
	if len(names) > MaxNames {
		return failure.New("names", "remove one with gamelan peers unname", "there are %d names already, and no room for more", MaxNames)
	}
	texts := make(map[string]string, len(names))
	for name, key := range names {
		texts[name] = key.String()
	}
	b, err := json.MarshalIndent(texts, "", "  ")
	if err != nil {
		return err
	}
	if err := replace.File(d.NamesFile(), strings.NewReader(string(b)+"\n")); err != nil {
		return Unusable(d.NamesFile(), err)
	}
	return nil
}
