package daemon

import (
	"testing"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/daemonconfig"
)

// TestReloadsAreTaken: a setting says that a reload applies it if there is something that does.
func TestReloadsAreTaken(t *testing.T) {
	n := 0
	for _, s := range daemonconfig.Table.Rows {
		if got := takes[s.Key] != nil; got != s.Reload {
			t.Errorf("%s: got a function that applies it: %v, want %v as its row says", s.Key, got, s.Reload)
		}
		if s.Reload {
			n++
		}
	}
	if n != len(takes) {
		t.Errorf("got %d settings that a reload applies, want %d, one for each function", n, len(takes))
	}
}
