package messengers

import (
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// TestAdviceForANodeWithoutDHT has a node of another kind refuse plain messages:
// a sender without the DHT is told to start it first.
func TestAdviceForANodeWithoutDHT(t *testing.T) {
	for want, settings := range map[string]bool{
		"; send it messages of the DHT (":                                   true,
		"; start this node without NoDHT and send it messages of the DHT (": false,
	} {
		m := &Messaging{ID: protocol.PlainID, room: &Room{Base: new(base.Base)}}
		m.room.Profile, m.room.DHT = protocol.Tari(protocol.LocalNet), settings
		to := &actors.ConnRef{Protocols: []protocol.ID{m.room.Profile.MessagingID}}
		if got := m.declined(to, nil).Error(); !strings.Contains(got, want) {
			t.Errorf("got %q, want %q in it", got, want)
		}
	}
}
