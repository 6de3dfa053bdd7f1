package gamelan

import (
	"errors"
	"fmt"

	"github.com/gamelan-p2p/gamelan/protocol"
)

// chooseMessaging decides which messages each messaging protocol carries. Afterwards DHT is
// nil only on a node without a DHT, and PlainID is the protocol of plain messages.
//
// spec: comms 8.1, 14.2
func (s *settled) chooseMessaging() error {
	if s.profile.PlainMessages && s.DHT == nil {
		s.NoDHT = true
		s.PlainOnProfile = s.PlainOnProfile || s.PlainID == ""
	}
	switch {
	case s.NoDHT && s.DHT != nil:
		return badConfig("NoDHT", errors.New("DHT is set as well; leave one of them out"))
	case s.PlainOnProfile && !s.NoDHT:
		return badConfig("PlainOnProfile", fmt.Errorf("the DHT has the protocol %v; set NoDHT as well", s.profile.MessagingID))
	case s.PlainOnProfile && s.PlainID != "":
		return badConfig("PlainID", fmt.Errorf("PlainOnProfile is set as well, which means %v; leave one of them out", s.profile.MessagingID))
	}
	if !s.NoDHT && s.DHT == nil {
		s.DHT = DHTConfig{}.withDefaults()
	}
	if s.PlainOnProfile {
		s.PlainID = string(s.profile.MessagingID)
		return nil
	}
	def(&s.PlainID, string(protocol.PlainID))
	return s.checkPlainID()
}

func (s *settled) checkPlainID() error {
	id := protocol.ID(s.PlainID)
	if err := id.Validate(); err != nil {
		return badConfig("PlainID", err)
	}
	switch id {
	case s.profile.MessagingID, s.profile.IdentityID:
		return badConfig("PlainID", fmt.Errorf("%v is a protocol of the network; choose another id, or set NoDHT and PlainOnProfile", id))
	case protocol.PeersID:
		return badConfig("PlainID", fmt.Errorf("%v is a protocol of the network; choose another id", id))
	case protocol.DHTMarker:
		return badConfig("PlainID", fmt.Errorf("%v says that a node has the DHT; choose another id", id))
	case protocol.TakenMarker:
		return badConfig("PlainID", fmt.Errorf("%v says how a node accepts messages; choose another id", id))
	}
	return nil
}
