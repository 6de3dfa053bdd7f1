package discovery

import (
	"fmt"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Outcome is how a received message ended.
type Outcome uint8

const (
	Accepted    Outcome = iota + 1 // its claim is stored
	FromBanned                     // its claim is stored, and nothing else: its author is banned here
	Ours                           // this node's own message has come back
	Unsigned                       // it has no author
	Undecodable                    // its first part is absent or does not decode
	ForeignKey                     // it speaks of another peer than its author
	Relayed                        // a response that came from another peer than its author
	NoClaim                        // what it says about its author is no claim
	BadClaim                       // its claim is refused, and that is an offence
	NoAddress                      // its claim has no usable address
	Unasked                        // a response to nothing that this node asks
	WrongTarget                    // a response of another peer than the one searched for
	TooOften                       // over a limit of this node, and not looked at
	outcomes
)

var outcomeTexts = [outcomes]string{
	Accepted: "accepted", FromBanned: "from a banned peer", Ours: "our own", Unsigned: "not signed",
	Undecodable: "undecodable", ForeignKey: "about another peer", Relayed: "relayed by another peer",
	NoClaim: "no claim", BadClaim: "bad claim", NoAddress: "no usable address", Unasked: "not asked for",
	WrongTarget: "from another peer than was searched for", TooOften: "too often",
}

// String returns the outcome in words, for instance "no usable address".
func (o Outcome) String() string {
	if o > 0 && o < outcomes {
		return outcomeTexts[o]
	}
	return fmt.Sprintf("outcome %d", uint8(o))
}

// Verdict is what a received message leads to.
type Verdict struct {
	Outcome Outcome
	Err     error // why the message is refused; nil if it is accepted

	// Source and Origin are offences of the peer that sent the message to us, and of
	// its author. At most one of them is set.
	Source, Origin *protocol.Violation

	Store *identity.Claim // to store; nil for none
	Relay dht.Strategy    // of a Join: relay the received bytes to these peers; nil for nobody
	Reply bool            // of a Discovery: send the author a response with Nonce, after storing its claim
	Nonce uint64          // of a Discovery or a response
	// Pending says that Nonce is that of a search of ours: the message ends it, found
	// if there is a claim to store, otherwise failed with Err.
	Pending bool
}

func stored(c identity.Claim) Verdict { return Verdict{Outcome: Accepted, Store: &c} }

// refused returns the verdict on a message for which nobody is banned.
func refused(o Outcome, err error) Verdict { return Verdict{Outcome: o, Err: err} }

func (v Verdict) offence(severity protocol.Severity) *protocol.Violation {
	ban := protocol.BanMedium
	if severity == protocol.High {
		ban = protocol.BanLong
	}
	return protocol.Violated("dht", ban, v.Err)
}

// banSource returns the verdict with a ban of the peer that sent us the message.
func (v Verdict) banSource(severity protocol.Severity) Verdict {
	v.Source = v.offence(severity)
	return v
}

// banOrigin returns the verdict with a ban of the author of the message.
func (v Verdict) banOrigin(severity protocol.Severity) Verdict {
	v.Origin = v.offence(severity)
	return v
}
