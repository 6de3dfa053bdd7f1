package dht

import (
	"fmt"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Report describes one send: a copy, and its outcome, for each peer that the message
// was sent to. Every accepted send ends in exactly one report. While the send is under
// way, End is zero and copies may have no outcome yet.
type Report struct {
	Tag         uint64
	To          string             // the strategy in words
	Destination identity.PublicKey // zero: nobody in particular
	Type        int32              // the application's message type
	Encrypted   bool
	Size        int // bytes of the body
	// ToStore reports that the copies went to nodes that may store the message until
	// its receiver is back ([StoreFor]). A confirmed copy was read by such a node; that
	// the node stores it, or that the receiver gets it, is not promised.
	ToStore    bool
	Begin, End time.Time
	// Reason is why the message was sent to nobody, otherwise 0. Err says more.
	Reason SendReason
	Err    error
	Copies []Copy
}

// Copy is the copy of a message for one peer.
type Copy struct {
	Peer    identity.NodeID
	Outcome protocol.Outcome // zero until there is one
	At      time.Time        // of the outcome
	Tries   int              // how often a messaging session got it, to write it
}

// Count returns how many copies have an outcome of this kind.
func (r Report) Count(k protocol.OutcomeKind) (n int) {
	for i := range r.Copies {
		if r.Copies[i].Outcome.Kind == k {
			n++
		}
	}
	return n
}

// Open returns how many copies have no outcome yet.
func (r Report) Open() int { return r.Count(0) }

// Ended reports whether the send has ended and the report is final.
func (r Report) Ended() bool { return !r.End.IsZero() }

// Failed reports whether the send has ended and every copy has failed unwritten.
func (r Report) Failed() bool {
	return r.Ended() && r.Count(protocol.Failed) == len(r.Copies)
}

// Clone returns a copy that later changes of r do not affect.
func (r *Report) Clone() Report {
	c := *r
	c.Copies = append([]Copy(nil), r.Copies...)
	return c
}

// String returns a summary, such as "2 of 3 confirmed, 1 in doubt", "written to 4
// neighbours that may store it" or "open", or why the message was sent to nobody.
func (r Report) String() string {
	if r.Reason != 0 {
		if r.Err != nil {
			return fmt.Sprintf("failed: %s: %v", r.Reason, r.Err)
		}
		return "failed: " + r.Reason.String()
	}
	if len(r.Copies) == 0 { // no peers are selected yet
		return protocol.Outcome{}.String()
	}
	if r.ToStore {
		return r.stored() + r.rest()
	}
	if len(r.Copies) == 1 {
		return r.Copies[0].Outcome.String()
	}
	return fmt.Sprintf("%d of %d confirmed", r.Count(protocol.Confirmed), len(r.Copies)) + r.rest()
}

// stored returns how many nodes that may store the message have read it.
func (r Report) stored() string {
	switch n := r.Count(protocol.Confirmed); n {
	case 0:
		return "written to no neighbour that may store it"
	case 1:
		return "written to 1 neighbour that may store it"
	default:
		return fmt.Sprintf("written to %d neighbours that may store it", n)
	}
}

// rest returns how many copies are not confirmed, by outcome: ", 1 in doubt, 2 failed".
func (r Report) rest() (s string) {
	for _, k := range []protocol.OutcomeKind{protocol.InDoubt, protocol.Failed, 0} {
		if n := r.Count(k); n > 0 {
			s += fmt.Sprintf(", %d %s", n, protocol.Outcome{Kind: k})
		}
	}
	return s
}

// SendReason is the reason for which a message was sent to nobody (spec: dht 5.4).
type SendReason uint8

const (
	ToOurselves     SendReason = iota + 1 // addressed to this node
	NobodySelected                        // the strategy found no peer
	DiscoveryFailed                       // the peer is unknown and was not found
	NotSendable                           // other nodes would refuse the message
	SendStopped                           // a layer of the application stopped it
	SendOverloaded                        // too many copies are under way already
	SendExpired                           // the limit was over before a peer was found
	SendClosed                            // the node is closing
)

var sendReasons = [...]string{
	ToOurselves: "addressed to this node", NobodySelected: "nobody to send it to", DiscoveryFailed: "peer not found",
	NotSendable: "not sendable", SendStopped: "stopped by a layer", SendOverloaded: "overloaded",
	SendExpired: "expired", SendClosed: "closed",
}

// String returns the reason in words, "" for none.
func (r SendReason) String() string {
	if int(r) < len(sendReasons) {
		return sendReasons[r]
	}
	return fmt.Sprintf("reason %d", uint8(r))
}

// MarshalText returns the same text as [SendReason.String].
func (r SendReason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }
