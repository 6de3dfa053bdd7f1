package kadpart

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/kad"
)

// TestSilentStore has no numbers, and no metrics, of a store that has not answered.
func TestSilentStore(t *testing.T) {
	for _, silent := range []bool{false, true} {
		v := models.Kad{Clients: []models.KadClient{clientSection(&kad.Status{Silent: silent})}}
		samples, err := models.Measure(&v)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, s := range samples {
			switch s.Metric.Name {
			case "gamelan_kad_records", "gamelan_kad_bytes", "gamelan_kad_own_records":
				n++
			}
		}
		text, err := json.Marshal(&v)
		if err != nil {
			t.Fatal(err)
		}
		if want := map[bool]int{false: 3, true: 0}[silent]; n != want || strings.Contains(string(text), `"own":0`) == silent {
			t.Errorf("silent %v: got %d metrics in %s, want %d", silent, n, text, want)
		}
	}
}
