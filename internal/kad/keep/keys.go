package keep

import (
	"errors"
	"fmt"

	"golang.org/x/crypto/blake2b"

	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/kad"
)

// Schema is the version of the entries that this package writes. A client without entries
// gets this version. Another one is refused and not changed.
//
//   - 1: records, publications, contacts, former contacts, the own id.
const Schema = 1

// ErrName reports two names of clients whose entries have the same keys. With 1,000 names
// that happens once in 8,600 nodes.
var ErrName = errors.New("kad: the entries belong to a client of another name; choose another name for this one")

// The kinds of entries. A key is the client's prefix, the kind, and the id or key that the
// entry is about.
const (
	kindContact = "rt"
	kindFormer  = "fc"
	kindRecord  = "rec"
	kindOwn     = "own"
	kindMeta    = "meta"
)

var (
	metaVersion = []byte("schema") // one byte with the version, and the name
	metaID      = []byte("id")     // overlay Seed: the own id
)

// keyPrefix begins all keys of this package, behind that of bulk entries.
const keyPrefix = "kad/"

// keys makes the keys of one client.
type keys struct{ prefix string }

func keysOf(name string, o kad.Overlay) keys {
	overlay := "n"
	if o == kad.Seed {
		overlay = "s"
	}
	sum := blake2b.Sum256([]byte(name))
	return keys{keyPrefix + overlay + string(sum[:hashLen])}
}

// bulk reports whether entries of this kind may be missing without harm: the store does not
// count them, and does not read them when it is opened.
func bulk(kind string) bool { return kind == kindContact || kind == kindFormer || kind == kindRecord }

func (k keys) of(kind string, id []byte) []byte {
	b := make([]byte, 0, 1+len(k.prefix)+len(kind)+len(id))
	if bulk(kind) {
		b = append(b, kv.Bulk)
	}
	return append(append(append(b, k.prefix...), kind...), id...)
}

func versionOf(name string) []byte { return append([]byte{Schema}, name...) }

// checkVersion returns the name of the client whose entries have this version.
func checkVersion(value []byte) (name string, err error) {
	switch {
	case len(value) == 0 || value[0] == 0:
		return "", fmt.Errorf("%w: no version: %w", kad.ErrSchema, kv.ErrCorrupt)
	case value[0] != Schema:
		return "", fmt.Errorf("%w (schema %d, this one knows %d); run that one, or start with another data directory", kad.ErrSchema, value[0], Schema)
	}
	return string(value[1:]), nil
}
