package hostile

import (
	"os"
	"testing"

	"github.com/gamelan-p2p/gamelan/internal/waittest"
)

func TestMain(m *testing.M) {
	waittest.Parallel()
	os.Exit(m.Run())
}
