package inspect

import "time"

// DHT is what the section "dht" holds: how the node takes part in the DHT.
type DHT struct {
	On            bool         `json:"on"`
	Protocol      string       `json:"protocol,omitempty"`       // of its messages
	PlainProtocol string       `json:"plain_protocol,omitempty"` // of plain messages beside it; empty: there are none
	Forwarding    bool         `json:"forwarding"`               // what is for others is passed on
	Types         []int32      `json:"types"`                    // of messages that an actor here hears
	Inbound       []DHTCount   `json:"inbound"`                  // what came in, by how it ended
	Outbound      *DHTOutbound `json:"outbound,omitempty"`       // nil: its actor did not say in time
	Dedup         DHTDedup     `json:"dedup"`
	Flood         *DHTFlood    `json:"flood,omitempty"`   // nil: the DHT is off
	Relayed       *DHTRelayed  `json:"relayed,omitempty"` // nil: the DHT is off
}

// DHTFlood is what is done against peers that send too many messages.
type DHTFlood struct {
	Limit  int    `json:"limit"`  // messages of a peer in a minute that no handler here took
	Held   int    `json:"held"`   // peers at the limit, of which nothing more is read now
	Unread uint64 `json:"unread"` // messages of such that were dropped and not judged, since the node's start
}

// DHTRelayed bounds the bytes that are passed on for others.
type DHTRelayed struct {
	Limit   int64  `json:"limit"`   // bytes of a source in a minute
	Sources int    `json:"sources"` // that are counted now
	Refused uint64 `json:"refused"` // bytes that were not passed on for it, since the node's start
}

// DHTCount is how many messages that came in have ended in one way since the
// node's start, and why the last of them did if something was wrong with it.
type DHTCount struct {
	Reason    string    `json:"reason"` // "delivered", "duplicate", "bad signature", …
	Count     uint64    `json:"count"`
	LastAt    time.Time `json:"last_at,omitzero"`
	LastPeer  string    `json:"last_peer,omitempty"` // node id
	LastError string    `json:"last_error,omitempty"`
}

// DHTOutbound counts what goes out since its actor's start.
type DHTOutbound struct {
	Sends      uint64 `json:"sends"`  // messages of this node
	Copies     uint64 `json:"copies"` // of them, one for each peer
	Confirmed  uint64 `json:"confirmed"`
	InDoubt    uint64 `json:"in_doubt"`
	Failed     uint64 `json:"failed"`
	OpenSends  int    `json:"open_sends"`
	OpenCopies int    `json:"open_copies"` // what is passed on included
	Resent     uint64 `json:"resent"`      // copies that were in doubt and written again
	Paced      uint64 `json:"paced"`       // copies that had to wait, so that their peer does not take them for a flood
	Passed     uint64 `json:"passed"`      // messages of others that were passed on
	PassedTo   uint64 `json:"passed_to"`   // copies of them
	Dropped    uint64 `json:"dropped"`     // messages of others that were not: nobody to pass them to, or no copy could be begun
	Nobody     uint64 `json:"nobody"`      // of those dropped: nobody to pass them to
	// Lost are copies of messages of others that were not confirmed, by why.
	Lost []DHTLost `json:"lost,omitempty"`
	// Unreached is how many messages of others did not reach all they were for: a
	// later copy of them goes to the others.
	Unreached int    `json:"unreached"`
	Credit    Credit `json:"credit"` // of messages of this node without an outcome
	LastError string `json:"last_error,omitempty"`
}

// DHTLost is how many copies of messages of others were not confirmed for one
// reason.
type DHTLost struct {
	Reason string `json:"reason"` // "no progress of the peer for 10 s", …
	Count  uint64 `json:"count"`
}

// DHTDedup is the memory of messages that were seen.
type DHTDedup struct {
	Messages int    `json:"messages"`
	Capacity int    `json:"capacity"`
	Repeats  uint64 `json:"repeats"` // messages that had been seen before
	// Fingerprints is how many are known besides, whose records had to make way less
	// than three hours ago, and Early how many such were forgotten before that time
	// was over, since the start.
	Fingerprints int    `json:"fingerprints"`
	Early        uint64 `json:"forgotten_early"`
}

// Report is how one message was sent over the DHT. That of a message under way
// has no End.
type Report struct {
	Tag         string    `json:"tag"` // 16 hexadecimal digits
	To          string    `json:"to"`  // the strategy, in words
	Destination string    `json:"destination,omitempty"`
	Type        int32     `json:"type"`
	Encrypted   bool      `json:"encrypted"`
	Size        int       `json:"size"` // bytes of the body
	Begin       time.Time `json:"begin"`
	End         time.Time `json:"end,omitzero"`
	Summary     string    `json:"summary"`          // "2 of 3 confirmed, 1 in doubt"
	Reason      string    `json:"reason,omitempty"` // why it was sent to nobody
	Detail      string    `json:"detail,omitempty"`
	// Repeated says that the node has sent the same bytes in clear before, so that
	// a peer that remembers them drops this message, although it confirms it.
	Repeated bool   `json:"repeated,omitempty"`
	Copies   []Copy `json:"copies"`
}

// Copy is what became of a message at one peer. Its outcome is one of the three
// of [Outcome], or [OutcomeOpen]; confirmed means no more than there.
type Copy struct {
	Peer string `json:"peer"` // node id
	Outcome
	Tries int       `json:"tries"` // how often it was written, or about to be
	At    time.Time `json:"at,omitzero"`
}

// OutcomeOpen is that of a copy that has none yet.
const OutcomeOpen = "open"

// Count returns how many copies have this outcome.
func (r *Report) Count(outcome string) (n int) {
	for i := range r.Copies {
		if r.Copies[i].Outcome.Outcome == outcome {
			n++
		}
	}
	return n
}

// Failed reports whether the message has ended and no peer has confirmed it.
func (r *Report) Failed() bool { return !r.End.IsZero() && r.Count(OutcomeConfirmed) == 0 }

// to reports whether a copy went to the peer, given by its node id or the
// printed part of it.
func (r *Report) to(peer string) bool {
	for i := range r.Copies {
		if p := r.Copies[i].Peer; p == peer || ShortName(p) == peer {
			return true
		}
	}
	return false
}

// Ledger is what the section "ledger" holds: the messages of this node that were
// sent over the DHT. First come those that ended last, then those under way, each
// oldest first.
type Ledger struct {
	Accepted uint64   `json:"accepted"` // since the node's start
	Ended    uint64   `json:"ended"`
	Reports  []Report `json:"reports"`
}
