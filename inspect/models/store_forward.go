package models

import "time"

// StoreForward is the content of the section "saf": the encrypted messages that this node
// stores for others, and its requests for those that others store for it.
type StoreForward struct {
	On      bool                `json:"on"`               // the node has the DHT
	Summary string              `json:"summary"`          // in one sentence
	Server  *StoreForwardServer `json:"server,omitempty"` // nil: it stores nothing for others
	Client  *StoreForwardClient `json:"client,omitempty"` // nil: the DHT is off
}

// StoreForwardServer describes the messages stored for others. The counts are since the
// start.
type StoreForwardServer struct {
	NoStore     bool      `json:"no_store"` // it stores no further messages, and hands out those that it has
	Messages    int       `json:"messages" rank:"1" metric:"stored_messages" help:"Messages that are stored for other nodes."`
	MaxMessages int       `json:"max_messages"`
	Bytes       int64     `json:"bytes" metric:"stored_bytes" help:"Bytes of the messages that are stored for other nodes."`
	MaxBytes    int64     `json:"max_bytes" metric:"stored_limit_bytes" help:"Most bytes of the messages that are stored for other nodes: saf.max_bytes."`
	High        int       `json:"high"`      // of the messages: for known peers; stored longer
	Low         int       `json:"low"`       // of the messages: for unknown peers
	Delivered   int       `json:"delivered"` // of the messages: given to their receiver, and kept for the grace
	OldestAt    time.Time `json:"oldest_at,omitzero"`

	Destinations int                 `json:"destinations"` // receivers with messages
	Sources      int                 `json:"sources"`      // connected peers that brought them
	Most         []StoreForwardShare `json:"most"`         // receivers with the most bytes, at most 10

	Stored    uint64            `json:"stored" metric:"stored_accepted_messages_total" help:"Messages that were accepted to be stored for other nodes."`
	Confirmed uint64            `json:"confirmed" metric:"stored_delivered_messages_total" help:"Stored messages that their receiver's node has read; each time counts."`
	Expired   uint64            `json:"expired" metric:"stored_removed_messages_total" with:"why=expired" help:"Stored messages that were removed: they have expired, were purged or are damaged, or were evicted for others."`
	Removed   uint64            `json:"removed" metric:"stored_removed_messages_total" with:"why=purged"`                                     // or not readable on the disk
	Evicted   uint64            `json:"made_way" label:"Evicted" metric:"stored_removed_messages_total" with:"why=evicted"`                   // removed for others at a limit
	Refused   map[string]uint64 `json:"refused" metric:"stored_refused_messages_total" help:"Messages for other nodes that were not stored."` // by reason
	Requests  map[string]uint64 `json:"requests"`                                                                                             // of others for their messages, by decision

	Region StoreForwardRegion `json:"region"`

	Full      bool   `json:"full"`                   // messages make way for others, or are refused, because of max_messages or max_bytes
	Unwritten int64  `json:"unwritten" unit:"bytes"` // bytes that wait for the disk
	Error     string `json:"error,omitempty"`        // the last one of the disk
}

// StoreForwardRegion describes the ids that the node stores messages for.
type StoreForwardRegion struct {
	Part    float64 `json:"part" unit:"ratio"` // of all ids, 0 to 1; receivers that were connected within 60 h are in the region, too
	Bound   string  `json:"bound"`             // what the size comes from
	Nodes   int     `json:"nodes"`             // that a dial has reached within 60 h, and that count
	Clients int     `json:"clients"`           // that were connected within 60 h, and that count
	Visits  int     `json:"visits"`            // peers that were connected within 60 h and are remembered
	Text    string  `json:"text"`              // the size in words
}

// StoreForwardShare is what is stored for one receiver.
type StoreForwardShare struct {
	NodeID   string `json:"node_id"`
	Messages int    `json:"messages"`
	Bytes    int64  `json:"bytes"`
}

// StoreForwardClient describes the requests for messages that others store for this node.
// The counts are since the start.
type StoreForwardClient struct {
	Automatic  bool   `json:"automatic"` // it asks when it connects to a peer that may store messages
	Requests   uint64 `json:"requests" metric:"fetch_requests_total" help:"Requests for messages that others store for this node."`
	Answers    uint64 `json:"answers"`
	Unanswered uint64 `json:"unanswered" metric:"fetch_unanswered_total" help:"Requests for messages that others store for this node which were not answered."`
	Messages   uint64 `json:"messages"` // in the answers
	Delivered  uint64 `json:"delivered" metric:"fetched_messages_total" help:"Messages that others had stored for this node, and that were delivered."`
	Duplicates uint64 `json:"duplicates"` // delivered before, or in another way
	Refused    uint64 `json:"refused"`    // not accepted here: no actor for their type, or a stuck one
	Skipped    uint64 `json:"skipped"`    // damaged
	// Ahead counts messages that count above too, from peers whose clock is more than 5 min
	// ahead of this node's: one of the two is wrong.
	Ahead uint64 `json:"ahead,omitempty"`
	// Peers are the connected ones that may store messages, and those that left requests
	// unanswered, nearest first.
	Peers []StoreForwardPeer `json:"peers"`
}

// StoreForwardPeer is a peer that may store messages for this node.
type StoreForwardPeer struct {
	NodeID      string    `json:"node_id"`
	Connected   bool      `json:"connected"`
	Unanswered  int       `json:"unanswered"`            // requests in succession
	SilentUntil time.Time `json:"silent_until,omitzero"` // it does not answer, and is asked again then
	Running     string    `json:"running,omitempty"`     // what the request under way does
	NextAt      time.Time `json:"next_at,omitzero"`      // when it is asked by itself; zero: not without a new connection

	LastAt time.Time           `json:"last_at,omitzero"` // when the last fetch from it has ended
	Last   *StoreForwardResult `json:"last,omitempty"`   // nil: there was none yet
}

// StoreForwardResult is what a fetch has brought from one peer.
type StoreForwardResult struct {
	NodeID     string `json:"node_id"`
	Answers    int    `json:"answers"`
	Messages   int    `json:"messages"` // in the answers
	Delivered  int    `json:"delivered"`
	Duplicates int    `json:"duplicates"` // delivered before, or in another way
	Refused    int    `json:"refused"`    // not accepted here: no actor for their type, or a stuck one
	Skipped    int    `json:"skipped"`    // damaged
	// Ahead counts messages that count above too, from a clock more than 5 min ahead of this
	// node's.
	Ahead int `json:"ahead,omitempty"`
	// Error is empty if the peer had nothing new in the end. Otherwise it may have more.
	Error string `json:"error,omitempty"`
}

// StoreForwardFetched is the result of a fetch.
type StoreForwardFetched struct {
	Delivered int                  `json:"delivered"`
	Complete  bool                 `json:"complete"` // no peer had anything new in the end
	Peers     []StoreForwardResult `json:"peers"`
}

// StoreForwardPurged is the result of a purge.
type StoreForwardPurged struct {
	Messages int   `json:"messages"`
	Bytes    int64 `json:"bytes"`
}
