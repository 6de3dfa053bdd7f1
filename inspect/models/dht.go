package models

import "time"

// DHT is the content of the section "dht": the node's part in the DHT.
type DHT struct {
	On            bool         `json:"on"`
	Protocol      string       `json:"protocol,omitempty"`       // of its messages
	PlainProtocol string       `json:"plain_protocol,omitempty"` // of plain messages beside it; empty: there are none
	Forwarding    bool         `json:"forwarding"`               // messages for other nodes are relayed, not only Joins
	Types         []int32      `json:"types"`                    // types of messages with an actor here
	Inbound       []DHTCount   `json:"inbound"`                  // received messages, by how they ended
	Outbound      *DHTOutbound `json:"outbound,omitempty"`       // nil: its actor did not answer in time
	Dedup         DHTDedup     `json:"dedup"`
	Flood         *DHTFlood    `json:"flood,omitempty"`   // nil: the DHT is off
	Relayed       *DHTRelayed  `json:"relayed,omitempty"` // nil: the DHT is off
}

// DHTFlood shows the limit for peers that send too many messages.
type DHTFlood struct {
	Limit  int    `json:"limit"` // messages of one peer in a minute that no handler here accepts
	Held   int    `json:"held" metric:"dht_flood_peers" help:"Peers that have sent too many messages, from which nothing more is read now."`
	Unread uint64 `json:"unread" metric:"dht_unread_messages_total" help:"Messages of peers that have sent too many, which were dropped unread."`
}

// DHTRelayed shows the limit on bytes that are relayed for other nodes.
type DHTRelayed struct {
	Limit   int64  `json:"limit" unit:"bytes"`                                                                                                                                       // bytes of one source in a minute
	Sources int    `json:"sources"`                                                                                                                                                  // sources that are counted now
	Refused uint64 `json:"refused" unit:"bytes" metric:"dht_relay_refused_bytes_total" help:"Bytes of others' messages that were not relayed because of the limit of their source."` // bytes that were not relayed because of the limit, since the node's start
}

// DHTCount counts the received messages that ended in one way since the node's start. If
// that way is an error, LastError is that of the last message.
type DHTCount struct {
	Reason    string    `json:"reason" by:"reason"` // "delivered", "duplicate", "bad signature", …
	Count     uint64    `json:"count" metric:"dht_received_messages_total" help:"Received messages of the DHT, by how they ended."`
	LastAt    time.Time `json:"last_at,omitzero"`
	LastPeer  string    `json:"last_peer,omitempty"` // node id
	LastError string    `json:"last_error,omitempty"`
}

// DHTOutbound counts the messages sent since the start of the sending actor.
type DHTOutbound struct {
	Sends      uint64 `json:"sends" metric:"dht_sent_messages_total" help:"Messages of the program that were sent over the DHT."`
	Copies     uint64 `json:"copies"` // of them, one for each peer
	Confirmed  uint64 `json:"confirmed" metric:"dht_copies_total" with:"outcome=confirmed" help:"Copies of the program's messages over the DHT, one for each peer, by their outcome."`
	InDoubt    uint64 `json:"in_doubt" metric:"dht_copies_total" with:"outcome=in_doubt"`
	Failed     uint64 `json:"failed" metric:"dht_copies_total" with:"outcome=failed"`
	OpenSends  int    `json:"open_sends" metric:"dht_open_sends" help:"Messages over the DHT that have not ended."`
	OpenCopies int    `json:"open_copies"` // including those of others' messages
	Resent     uint64 `json:"resent"`      // copies that were in doubt and written again
	Paced      uint64 `json:"paced"`       // copies that had to wait, so that their peer does not take them for a flood
	Relayed    uint64 `json:"passed" metric:"dht_relayed_messages_total" help:"Messages of other nodes that were relayed."`
	RelayedTo  uint64 `json:"passed_to"` // copies of them
	Dropped    uint64 `json:"dropped" metric:"dht_not_relayed_messages_total" help:"Messages of other nodes that were not relayed: there was no suitable peer, or no copy could be begun."`
	Nobody     uint64 `json:"nobody"` // of those dropped: no suitable peer
	// Lost counts copies of other nodes' messages that were not confirmed, by reason.
	Lost []DHTLost `json:"lost,omitempty"`
	// Unreached is the number of other nodes' messages that did not reach all the
	// peers for which they were meant. A later copy of such a message goes to the
	// rest.
	Unreached int    `json:"unreached"`
	Credit    Credit `json:"credit" metric:"-"` // of messages of this node without an outcome
	LastError string `json:"last_error,omitempty"`
}

// DHTLost counts the copies of other nodes' messages that were not confirmed for one
// reason.
type DHTLost struct {
	Reason string `json:"reason"` // "no progress of the peer for 10 s", …
	Count  uint64 `json:"count"`
}

// DHTDedup shows the memory of messages that were seen.
type DHTDedup struct {
	Messages int    `json:"messages" metric:"dht_remembered_messages" help:"Messages of the DHT that are remembered, so that they are taken once."`
	Capacity int    `json:"capacity"`
	Repeats  uint64 `json:"repeats" metric:"dht_repeated_messages_total" help:"Messages of the DHT that had been seen before."`
	// Fingerprints is the number of messages whose records were replaced by newer ones
	// less than three hours ago, and which are remembered by a fingerprint. Early is
	// the number of fingerprints dropped before those three hours, since the start.
	Fingerprints int    `json:"fingerprints"`
	Early        uint64 `json:"forgotten_early"`
}

// Report describes how one message was sent over the DHT. End is zero while the message is
// under way.
type Report struct {
	Tag         string `json:"tag"` // 16 hexadecimal digits
	To          string `json:"to"`  // the strategy, in words
	Destination string `json:"destination,omitempty"`
	// DestinationID is the node id of the holder of Destination.
	DestinationID string `json:"destination_id,omitempty"`
	Type          int32  `json:"type"`
	Encrypted     bool   `json:"encrypted"`
	Size          int    `json:"size" unit:"bytes"` // bytes of the body
	// ToStore says that the copies went to nodes that may store the message until its
	// receiver is back. That they store it is not promised.
	ToStore bool      `json:"to_store,omitempty"`
	Begin   time.Time `json:"begin"`
	End     time.Time `json:"end,omitzero"`
	Summary string    `json:"summary"`          // "2 of 3 confirmed, 1 in doubt"
	Reason  string    `json:"reason,omitempty"` // why it was not sent to any peer
	Detail  string    `json:"detail,omitempty"`
	// Repeated says that the node has sent the same unsigned, unencrypted bytes before.
	// A peer that remembers them drops this message, although it confirms it.
	Repeated bool   `json:"repeated,omitempty"`
	Copies   []Copy `json:"copies"`
}

// Copy is the result of a message at one peer. Its outcome is one of the three of
// [Outcome], or [OutcomeOpen]; confirmed means the same as there.
type Copy struct {
	Peer string `json:"peer"` // node id
	Outcome
	Tries int       `json:"tries"` // how often it was written, or was about to be
	At    time.Time `json:"at,omitzero"`
}

// OutcomeOpen is the outcome of a copy that has not ended.
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

// Ledger is the content of the section "ledger": the messages that this node sent over
// the DHT. First come the last ones that have ended, then those under way, each oldest
// first.
type Ledger struct {
	Accepted uint64   `json:"accepted"` // since the node's start
	Ended    uint64   `json:"ended"`
	Reports  []Report `json:"reports"`
}
