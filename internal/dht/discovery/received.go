package discovery

import (
	"errors"
	"fmt"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Receiver decides on received Join, Discovery and DiscoveryResponse messages, whose
// signatures the inbound chain has verified.
type Receiver struct {
	Rules
	Key    identity.PublicKey                            // our own
	Banned func(identity.PublicKey) bool                 // reports whether the peer is banned here
	Asked  func(nonce uint64) (identity.PublicKey, bool) // returns whom a Discovery of ours with this nonce searches
}

var errUnsigned = errors.New("dht: a message that has to be signed is not")

// Join decides on a Join (spec: dht 7.2, V4, V5).
func (r *Receiver) Join(m *dht.Incoming) Verdict {
	_, v := r.claimed(m, BadClaim, protocol.Medium)
	if v.Outcome == Accepted && !m.Envelope.Header.Destination.Is(r.Key) {
		v.Relay = dht.Propagate{To: m.Origin, Exclude: []identity.NodeID{m.Origin.NodeID(), m.Source}}
	}
	return v
}

// Discovery decides on a Discovery (spec: dht 7.3).
func (r *Receiver) Discovery(m *dht.Incoming) Verdict {
	a, v := r.claimed(m, NoClaim, protocol.High)
	if v.Store != nil {
		v.Nonce, v.Reply = a.Nonce, v.Outcome == Accepted
	}
	return v
}

// Response decides on a DiscoveryResponse (spec: dht 7.3).
//
// The reference bans the author of a response that another peer relays, and the peer
// searched for when somebody else answers. Both are the victims: here only the peer that
// passed the response on, and the one that answered, are banned.
func (r *Receiver) Response(m *dht.Incoming) Verdict {
	a, v := r.open(m)
	switch {
	case v.Outcome != 0:
		return v
	case m.Origin != m.Key:
		return refused(Relayed, errors.New("dht: a response that its author has not sent to us")).banSource(protocol.High)
	}
	target, ok := r.Asked(a.Nonce)
	switch {
	case !ok:
		return refused(Unasked, errors.New("dht: a response to nothing that we ask"))
	case target != m.Origin:
		return refused(WrongTarget, errors.New("dht: a response of another peer than we search for")).banOrigin(protocol.Medium)
	}
	claim, v := r.claim(m, a)
	switch v.Outcome {
	case 0:
		v = stored(claim)
	case BadClaim:
		v = v.banOrigin(protocol.High)
	}
	v.Nonce, v.Pending = a.Nonce, true
	return v
}

// open decodes the message and checks that its author speaks of itself. If it does not,
// the verdict has an outcome.
func (r *Receiver) open(m *dht.Incoming) (a wire.Announcement, v Verdict) {
	switch m.Origin {
	case identity.PublicKey{}:
		return a, refused(Unsigned, errUnsigned).banSource(protocol.Low)
	case r.Key:
		return a, refused(Ours, errors.New("dht: our own message has come back"))
	}
	if len(m.Parts) == 0 {
		return a, refused(Undecodable, errors.New("dht: a message without content")).banOrigin(protocol.High)
	}
	a, err := wire.DecodeAnnouncement(m.Parts[0])
	if err != nil {
		return a, refused(Undecodable, err).banOrigin(protocol.High)
	}
	if string(a.Key) != string(m.Origin[:]) {
		return a, refused(ForeignKey, errors.New("dht: a message that speaks of another peer than its author")).banOrigin(protocol.High)
	}
	return a, Verdict{}
}

// claimed returns the announcement of a message and the verdict on it, which stores its claim. The
// author is banned if there is none for that reason.
func (r *Receiver) claimed(m *dht.Incoming, banned Outcome, severity protocol.Severity) (a wire.Announcement, v Verdict) {
	if a, v = r.open(m); v.Outcome != 0 {
		return a, v
	}
	claim, v := r.claim(m, a)
	switch {
	case v.Outcome == banned:
		return a, v.banOrigin(severity)
	case v.Outcome != 0:
		return a, v
	}
	if v = stored(claim); r.Banned(m.Origin) {
		v.Outcome = FromBanned
	}
	return a, v
}

// claim returns the checked claim of an announcement. If there is none to store, the
// verdict has an outcome.
func (r *Receiver) claim(m *dht.Incoming, a wire.Announcement) (identity.Claim, Verdict) {
	c, err := a.Claim()
	if err != nil {
		return c, refused(NoClaim, err)
	}
	c, err = r.Check(m.Origin, []identity.Claim{c}, m.Wall)
	if err == nil {
		return c, Verdict{}
	}
	err = fmt.Errorf("claim of the author: %w", err)
	var fault *ClaimError
	switch errors.As(err, &fault); {
	case fault.Fault == NoUsableAddress:
		return c, refused(NoAddress, err)
	case fault.Fault == Unreadable:
		return c, refused(NoClaim, err)
	}
	return c, refused(BadClaim, err)
}
