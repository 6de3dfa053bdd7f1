package interop

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan/tests/internal/tarinodes"
)

// releases are those of tari_comms that the tests run against.
var releases = tarinodes.Releases

// unpublished is a release that is not among the published crates. It is built from a source
// tree, if the variable envTree names one.
const unpublished, envTree = "1.7.0-pre.3", "GAMELAN_TARI_1_7"

// missing says why the tests cannot run; nil if they can.
var missing error

// TestMain leaves one test to run when the Tari nodes are not there.
func TestMain(m *testing.M) {
	flag.Parse()
	if missing = findPeers(); missing != nil {
		flag.Set("test.run", "^TestPeersAreBuilt$")
	} else if os.Getenv(envTree) == "" {
		fmt.Printf("TestFromTree is left out: %s names no source tree of Tari %s\n", envTree, unpublished)
		flag.Set("test.skip", strings.TrimPrefix(flag.Lookup("test.skip").Value.String()+"|^TestFromTree$", "|"))
	}
	// Most of what runs side by side waits.
	flag.Set("test.parallel", "16")
	os.Exit(m.Run())
}

// The one line that says what is to be done.
func TestPeersAreBuilt(t *testing.T) {
	switch {
	case missing == nil:
	case os.Getenv("GAMELAN_INTEROP") != "1":
		t.Skip(missing)
	default:
		t.Fatal(missing)
	}
}

// findPeers says what is missing. The tests take minutes, so they run only when
// they are asked for.
func findPeers() error {
	if os.Getenv("GAMELAN_INTEROP") != "1" {
		return fmt.Errorf("\"bash tests/interop/build.sh && GAMELAN_INTEROP=1 go test ./tests/interop\" (needs Rust) runs the tests against Tari's nodes")
	}
	wanted := releases
	if os.Getenv(envTree) != "" {
		wanted = append(slices.Clone(wanted), unpublished)
	}
	return tarinodes.Missing(wanted...)
}

// against runs a test against each release.
func against(t *testing.T, test func(t *testing.T, release string)) {
	t.Helper()
	for _, release := range releases {
		t.Run(release, func(t *testing.T) { test(t, release) })
	}
}

// A dialer is who dials in a test.
type dialer string

const (
	weDial   dialer = "we dial"
	theyDial dialer = "they dial"
)

// bothWays runs a test against each release with either side dialling.
func bothWays(t *testing.T, test func(t *testing.T, release string, who dialer)) {
	t.Helper()
	against(t, func(t *testing.T, release string) {
		for _, who := range []dialer{weDial, theyDial} {
			t.Run(string(who), func(t *testing.T) { test(t, release, who) })
		}
	})
}
