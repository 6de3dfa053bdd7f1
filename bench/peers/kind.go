package peers

import (
	"fmt"
	"os"
	"path/filepath"
)

// Kind says whose node it is: Gamelan's, or that of a release of Tari.
type Kind string

// Gamelan is our own node.
const Gamelan Kind = "gamelan"

// Tari lists the releases that tests/interop builds.
var Tari = []Kind{"tari-6.2.0", "tari-1.0.0-rc.5"}

// Missing says which of Tari's nodes are not there and how to get them; nil if
// there are all.
func Missing() error {
	for _, k := range Tari {
		if _, err := os.Stat(k.binary()); err != nil {
			return fmt.Errorf("no node of %s; \"bash tests/interop/build.sh\" builds it (needs Rust)", k)
		}
	}
	return nil
}

// binary is where tests/interop/build.sh puts a node of Tari.
func (k Kind) binary() string {
	dir := os.Getenv("CARGO_TARGET_DIR")
	if dir == "" {
		dir = cached("interop")
	}
	return filepath.Join(dir, "tari-peer-"+string(k[len("tari-"):]))
}

// cached is where the scripts that build programs for the tests and the bench keep them.
func cached(name string) string {
	cache := os.Getenv("XDG_CACHE_HOME")
	if cache == "" {
		home, _ := os.UserHomeDir() // then it is not found
		cache = filepath.Join(home, ".cache")
	}
	return filepath.Join(cache, "gamelan", name)
}

// program is what runs a node of the kind: its path, arguments, and what its
// environment holds besides ours.
func (k Kind) program() (path string, args, env []string, err error) {
	if k != Gamelan {
		return k.binary(), []string{"--count-only", "true"}, nil, nil
	}
	path, err = os.Executable()
	return path, nil, []string{consoleVariable + "=1"}, err
}
