// Package tarinodes finds the real Tari nodes that tests/interop/build.sh builds.
package tarinodes

import (
	"fmt"
	"os"
	"path/filepath"
)

// Releases are those of tari_comms that the tests run against.
var Releases = []string{"6.2.0", "1.0.0-rc.5"}

// Program is where build.sh puts the node of a release.
func Program(release string) string {
	dir := os.Getenv("CARGO_TARGET_DIR")
	if dir == "" {
		cache := os.Getenv("XDG_CACHE_HOME")
		if cache == "" {
			home, _ := os.UserHomeDir()
			cache = filepath.Join(home, ".cache")
		}
		dir = filepath.Join(cache, "gamelan", "interop")
	}
	return filepath.Join(dir, "tari-peer-"+release)
}

// Missing returns an error that says which of these releases is not built, and how to build it;
// nil if all are.
func Missing(releases ...string) error {
	for _, release := range releases {
		if _, err := os.Stat(Program(release)); err != nil {
			return fmt.Errorf("no Tari node %s; build it with \"bash tests/interop/build.sh %s\" (needs Rust)", release, release)
		}
	}
	return nil
}
