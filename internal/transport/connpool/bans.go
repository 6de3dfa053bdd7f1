package connpool

import (
	"errors"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Verdict is the consequence of an error or a request.
type Verdict struct {
	Close    bool              // end the connection at once
	Ban      time.Duration     // 0: no ban
	Severity protocol.Severity // of an offence
}

// Bans is the policy that turns offences into bans. With the zero value every peer can be
// banned.
type Bans struct {
	// Allowed reports whether a peer is on the allow list, and so never banned. nil: none
	// is.
	Allowed func(identity.NodeID) bool
}

// Offence returns the verdict on an error of a connection with peer. Only a
// [protocol.ErrViolation] is an offence. It closes the connection and bans the peer for
// the violation's duration, or, if it names none, by its severity: for 10 min, or 2 h
// when it is high. A peer on the allow list is not banned, but its connection is closed all the
// same, since its stream cannot be trusted any more.
//
// spec: comms 11.6, 14.1 point 3.
func (b Bans) Offence(peer identity.NodeID, err error) Verdict {
	if !errors.Is(err, protocol.ErrViolation) {
		return Verdict{}
	}
	v := Verdict{Close: true, Ban: protocol.BanMedium, Severity: protocol.Medium}
	if offence, ok := errors.AsType[*protocol.Violation](err); ok {
		v.Severity = offence.Severity
		switch {
		case offence.Ban > 0:
			v.Ban = offence.Ban
		case offence.Severity >= protocol.High:
			v.Ban = protocol.BanLong
		}
	}
	if b.allows(peer) {
		v.Ban = 0
	}
	return v
}

// Request returns the verdict on a user's or a protocol's request to ban peer for d. A
// peer on the allow list is not banned.
//
// spec: comms 11.6.
func (b Bans) Request(peer identity.NodeID, d time.Duration) Verdict {
	if d <= 0 || b.allows(peer) {
		return Verdict{}
	}
	return Verdict{Close: true, Ban: d}
}

func (b Bans) allows(peer identity.NodeID) bool { return b.Allowed != nil && b.Allowed(peer) }
