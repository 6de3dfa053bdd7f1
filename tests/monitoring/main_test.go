// Package monitoring has the real Prometheus scrape two nodes and raise alerts.
package monitoring

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// enable says how to run these tests.
const enable = "\"apt-get install prometheus && GAMELAN_PROMETHEUS=1 go test ./tests/monitoring\" runs the tests with Prometheus"

// missing says why the tests cannot run; nil if they can.
var missing error

// TestMain leaves one test to run when the programs are not there.
func TestMain(m *testing.M) {
	flag.Parse()
	if missing = findPrograms(); missing != nil {
		flag.Set("test.run", "^TestProgramsAreInstalled$")
	}
	os.Setenv("GAMELAN_CONFIG", os.DevNull) // not that of whoever runs the tests
	os.Exit(m.Run())
}

// The one line that says what is to be done.
func TestProgramsAreInstalled(t *testing.T) {
	switch {
	case missing == nil:
	case os.Getenv("GAMELAN_PROMETHEUS") != "1":
		t.Skip(missing)
	default:
		t.Fatal(missing)
	}
}

func findPrograms() error {
	if os.Getenv("GAMELAN_PROMETHEUS") != "1" {
		return errors.New(enable)
	}
	for _, name := range []string{"prometheus", "promtool"} {
		if _, err := exec.LookPath(name); err != nil {
			return fmt.Errorf("%w; %s", err, enable)
		}
	}
	return nil
}
