package messengers

import (
	"errors"
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

// TestRefusedWhileStarting has a node refuse messages with ids, and list them a moment later: it is no older release, and
// messages that wait for it are sent again. One that lists plain messages alone is older.
func TestRefusedWhileStarting(t *testing.T) {
	const id = "gamelan/outcome/1"
	room := &Room{Base: new(base.Base), Plain: &Messaging{ID: protocol.PlainID}}
	room.Profile = protocol.Tari(protocol.LocalNet)
	m := &Messaging{ID: id, ours: true, room: room}
	for older, list := range map[bool][]protocol.ID{false: {protocol.PlainID, id}, true: {protocol.PlainID}} {
		to := &actors.ConnRef{Protocols: list}
		if err := m.declined(to, errors.New("terminated")); errors.Is(err, ErrForeign) != older || !errors.Is(err, actors.ErrNotTaken) {
			t.Errorf("%q: got %v", list, err)
		}
	}
}
