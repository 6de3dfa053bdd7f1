package discoverypart

import (
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// TestNetworkSummaryOfSeeds: a connected seed that was not asked yet does not count as one
// that did not answer.
func TestNetworkSummaryOfSeeds(t *testing.T) {
	at := time.Unix(1, 0)
	for _, x := range []struct {
		seeds []models.NetworkSeed
		want  string
	}{
		{nil, "2 peers known"},
		{[]models.NetworkSeed{{Connected: true}}, "2 peers known"},
		{[]models.NetworkSeed{{}}, "0 of 1 seed answered; 2 peers known"},
		{[]models.NetworkSeed{{AskedAt: at, Connected: true}}, "0 of 1 seed answered; 2 peers known"},
		{[]models.NetworkSeed{{Connected: true}, {AskedAt: at, Answered: true}}, "1 of 2 seeds answered; 2 peers known"},
	} {
		if got := summary(&models.Network{Known: 2, Seeds: x.seeds}); got != x.want {
			t.Errorf("%+v: got %q, want %q", x.seeds, got, x.want)
		}
	}
}
