package machines

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan/internal/waittest"
)

// enable says how to run these tests.
const enable = "as root on Linux, \"apt-get install iproute2 nftables dnsmasq-base && GAMELAN_MACHINES=1 go test ./tests/machines\" runs the tests among machines"

// missing says why the tests cannot run; nil if they can.
var missing error

// TestMain leaves one test to run where no machines can be made.
func TestMain(m *testing.M) {
	waittest.Parallel()
	if missing = begin(); missing != nil {
		missing = fmt.Errorf("%w; %s", missing, enable)
		flag.Set("test.run", "^TestMachinesCanBeMade$")
	} else if os.Getenv("GAMELAN_INTEROP") != "1" {
		fmt.Println("TestTari is left out: GAMELAN_INTEROP=1 asks for it, and needs what tests/interop/build.sh builds")
		flag.Set("test.skip", strings.TrimPrefix(flag.Lookup("test.skip").Value.String()+"|^TestTari$", "|"))
	}
	code := m.Run()
	if err := end(); err != nil {
		fmt.Println(err)
		code = 1
	}
	os.Exit(code)
}

// The one line that says what is to be done.
func TestMachinesCanBeMade(t *testing.T) {
	switch {
	case missing == nil:
	case os.Getenv("GAMELAN_MACHINES") != "1":
		t.Skip(missing)
	default:
		t.Fatal(missing)
	}
}
