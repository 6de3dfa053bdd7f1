package connpool

import (
	"errors"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Verdict is what an offence leads to.
type Verdict struct {
	Close    bool              // end the connection at once
	Ban      time.Duration     // 0: no ban
	Severity protocol.Severity // of an offence
}

// Bans is the policy that turns offences into bans. The zero value spares
// nobody.
type Bans struct {
	// Spared reports peers that are never banned: the allow list. nil: nobody.
	Spared func(identity.NodeID) bool
}

// Offence judges an error that ended something with peer. What is no
// [protocol.ErrViolation] is nobody's offence. A violation closes the connection;
// it bans for what it says, or by its severity if it names no duration: 10 min,
// or 2 h when it is high. A spared peer is not banned, and its connection ends
// all the same, since the stream it spoke on cannot be trusted any more.
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
	if b.spares(peer) {
		v.Ban = 0
	}
	return v
}

// Request judges a user's or a protocol's request to ban peer for d: nothing
// happens to a peer that is spared.
//
// spec: comms 11.6.
func (b Bans) Request(peer identity.NodeID, d time.Duration) Verdict {
	if d <= 0 || b.spares(peer) {
		return Verdict{}
	}
	return Verdict{Close: true, Ban: d}
}

func (b Bans) spares(peer identity.NodeID) bool { return b.Spared != nil && b.Spared(peer) }
