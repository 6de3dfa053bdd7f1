package assemble

import (
	"testing"

	"github.com/gamelan-p2p/gamelan/config"
)

func TestFilesNeeded(t *testing.T) {
	s := &config.Settled{Config: config.Default()}
	s.DataDir = "x"
	if need := filesNeeded(s); need < 500+100 || need > 1200 {
		t.Errorf("the default limits need %d files, want room for 600 inbound connections and a store", need)
	}
}
