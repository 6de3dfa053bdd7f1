package config

import (
	"cmp"
	"errors"

	"github.com/gamelan-p2p/gamelan/protocol"
)

// chooseMessaging decides which messages each messaging protocol carries. Afterwards DHT is
// nil only on a node without a DHT, and PlainID is the protocol of plain messages.
//
// spec: comms 8.1, 14.2
func (s *Settled) chooseMessaging() error {
	if s.Wire.PlainMessages && s.DHT == nil {
		s.NoDHT = true
		s.PlainOnProfile = s.PlainOnProfile || s.PlainID == ""
	}
	if !s.NoDHT && s.DHT == nil {
		s.DHT = new(DHTConfig)
	}
	switch {
	case s.NoDHT && s.DHT != nil:
		return bad("NoDHT", errors.New("DHT is set as well; leave one of them out"))
	case s.PlainOnProfile && !s.NoDHT:
		return badf("PlainOnProfile", "the DHT has the protocol %v; set NoDHT as well", s.Wire.MessagingID)
	case s.PlainOnProfile && s.PlainID != "":
		return badf("PlainID", "PlainOnProfile is set as well, which means %v; leave one of them out", s.Wire.MessagingID)
	}
	if s.PlainOnProfile {
		s.PlainID = string(s.Wire.MessagingID)
		return nil
	}
	s.PlainID = cmp.Or(s.PlainID, string(protocol.PlainID))
	return s.checkPlainID()
}

func (s *Settled) checkPlainID() error {
	id := protocol.ID(s.PlainID)
	if err := id.Validate(); err != nil {
		return bad("PlainID", err)
	}
	switch id {
	case s.Wire.MessagingID, s.Wire.IdentityID:
		return badf("PlainID", "%v is a protocol of the network; choose another id, or set NoDHT and PlainOnProfile", id)
	case protocol.PeersID:
		return badf("PlainID", "%v is a protocol of the network; choose another id", id)
	case protocol.DHTMarker:
		return badf("PlainID", "%v says that a node has the DHT; choose another id", id)
	case protocol.FullMarker:
		return badf("PlainID", "%v says that a node cannot keep messages; choose another id", id)
	case protocol.TakenMarker:
		return badf("PlainID", "%v says how a node accepts messages; choose another id", id)
	}
	return nil
}
