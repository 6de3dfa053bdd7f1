package onion

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/gamelan-p2p/gamelan/tests/onion/tornet"
)

// enable says how to run these tests.
const enable = "\"apt-get install tor microsocks && GAMELAN_TOR=1 go test ./tests/onion\" runs the tests with Tor and through a SOCKS5 proxy"

// missing says why the tests cannot run; nil if they can.
var missing error

// TestMain leaves one test to run when the programs are not there.
func TestMain(m *testing.M) {
	flag.Parse()
	if missing = findPrograms(); missing != nil {
		flag.Set("test.run", "^TestProgramsAreInstalled$")
	}
	code := m.Run()
	if err := endNetwork(); err != nil {
		fmt.Println(err)
		code = 1
	}
	os.Exit(code)
}

// The one line that says what is to be done.
func TestProgramsAreInstalled(t *testing.T) {
	switch {
	case missing == nil:
	case os.Getenv("GAMELAN_TOR") != "1":
		t.Skip(missing)
	default:
		t.Fatal(missing)
	}
}

func findPrograms() error {
	if os.Getenv("GAMELAN_TOR") != "1" {
		return fmt.Errorf("%s", enable)
	}
	_, err := exec.LookPath("microsocks")
	if err = errors.Join(tornet.Missing(), err); err != nil {
		return fmt.Errorf("%w; %s", err, enable)
	}
	return nil
}
