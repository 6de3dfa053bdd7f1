package models

import (
	"encoding/json"
	"time"
)

// Node is the content of the section "node".
type Node struct {
	NodeID    string    `json:"node_id"`
	PublicKey string    `json:"public_key"`
	Network   string    `json:"network"`
	Private   bool      `json:"private,omitempty"` // it is a private network, and Network is its name
	Profile   string    `json:"profile"`
	Addresses []string  `json:"addresses"`       // where it listens
	Status    string    `json:"status"`          // initializing, online, degraded or offline
	Cause     string    `json:"cause"`           // a sentence
	Since     time.Time `json:"since,omitzero"`  // of the status
	Tried     *Notice   `json:"tried,omitempty"` // offline: why the peer that matters most is not reached, with a code of a dial; nil: nobody was tried
	Wanted    int       `json:"wanted"`          // protected peers, whose connections are kept open
	Held      int       `json:"held"`            // connections that it has
	Calls     int       `json:"calls"`           // under way, of peers and its own
	Warnings  Notices   `json:"warnings"`
	Credit    Credit    `json:"credit"`
	Inbox     *Inbox    `json:"inbox,omitempty"` // nil: the node has none, and a handler receives its messages
	Tor       *Tor      `json:"tor,omitempty"`   // nil: the node has no onion service
	Moved     *Moved    `json:"moved,omitempty"` // nil: the addresses that it tells others have not changed
	Reach     []Reach   `json:"reach,omitempty"` // whether others can connect to it; none: it does not find out
	Disk      *Disk     `json:"disk,omitempty"`  // nil: the node keeps nothing on a disk, or the system does not say how much room it has
	Clock     *Clock    `json:"clock,omitempty"` // nil: too few connected nodes have told their time
	StartedAt time.Time `json:"started_at" metric:"start_time_seconds" help:"When the node was started, in seconds since 1970."`
	Version   string    `json:"version"`
	PID       int       `json:"pid"`
	Inbound   int       `json:"inbound" metric:"connections" with:"direction=in" help:"Open connections: in are those that peers have made."` // of Held
	Outbound  int       `json:"outbound" metric:"connections" with:"direction=out"`                                                           // of Held
	Peers     int       `json:"peers" metric:"peers" help:"Known peers."`
	Banned    int       `json:"banned" metric:"peers_banned" help:"Banned peers, of those that are known."`
	Places    Places    `json:"places"`
}

// Disk is the room in the file system of the data directory.
type Disk struct {
	Path string `json:"path"`
	Free int64  `json:"free" unit:"bytes" metric:"disk_free_bytes" help:"Bytes that are free in the file system of the data directory."`
	Need int64  `json:"need" unit:"bytes" metric:"disk_needed_bytes" help:"With fewer free bytes the node is degraded: health.disk_free."`
}

// Clock is how far the clock of the machine is from that of connected nodes.
type Clock struct {
	AheadMS int64 `json:"ahead_ms" metric:"clock_ahead_seconds" help:"How far the clock of this machine is ahead of that of connected nodes, to a second; negative: it is behind."` // of their median
	Sources int   `json:"sources" metric:"clock_sources" help:"Nodes of different networks that have told their time."`
}

// Moved is the last change of the addresses that a node tells others.
type Moved struct {
	At     time.Time `json:"at"`
	Before []string  `json:"before"`
}

// Reach says whether others can connect to an address of the node.
type Reach struct {
	Addr    string    `json:"addr"`    // IP address and port
	Verdict string    `json:"verdict"` // reachable, not reachable or not known
	Since   time.Time `json:"since"`   // of the verdict
	At      time.Time `json:"at"`      // of the last try that gave the verdict; zero: none
	Nodes   int       `json:"nodes"`   // that have connected there, or could not
	Again   bool      `json:"again"`   // nodes are being asked again
	Told    bool      `json:"told"`    // the node tells others this address
	Why     string    `json:"why"`     // why it is not known
}

// Places are the limits for inbound connections and their set-ups. The counters say what
// happened, since the node's start, when a limit was reached.
type Places struct {
	Inbound    int    `json:"inbound"` // connections
	MaxInbound int    `json:"max_inbound" metric:"inbound_limit" help:"Greatest number of connections that peers may have made: connections.max_inbound."`
	Setups     int    `json:"setups" metric:"inbound_setups" help:"Inbound connections that are being set up."`
	MaxSetups  int    `json:"max_setups"`
	Preempted  uint64 `json:"gave_way" metric:"inbound_preempted_total" help:"Inbound connections that were ended before they were ready, in favour of a newer one."`
	Replaced   uint64 `json:"replaced" metric:"inbound_replaced_total" help:"Idle inbound connections that were closed in favour of a new one."`
	Refused    uint64 `json:"refused" metric:"inbound_refused_total" with:"limit=places" help:"Inbound connections that were refused: for lack of a place, because their source begins too many, or because they are of another network."`

	RefusedBy map[string]uint64 `json:"refused_by,omitempty"` // Refused, by the key of the setting whose limit was reached

	MaxSetupRate int    `json:"max_setup_rate_per_source"`                                         // set-ups of one source in a minute
	TooFast      uint64 `json:"too_fast" metric:"inbound_refused_total" with:"limit=rate"`         // connections that were refused because of it
	Waited       uint64 `json:"waited"`                                                            // set-ups of unknown peers from exempt sources that had to wait
	OtherNetwork uint64 `json:"other_network" metric:"inbound_refused_total" with:"limit=network"` // connections that were refused because their first byte is not that of this network
}

// Setting is one element of the section "config", a []Setting.
type Setting struct {
	Key     string `json:"key"`
	Value   any    `json:"value"`   // null where the default is not a fixed value
	Text    string `json:"text"`    // the value as in a file, or in words
	Origin  string `json:"origin"`  // default, file, environment or flag
	From    string `json:"from"`    // the file and its line, the variable, or the flag
	Reload  bool   `json:"reload"`  // can be changed while the node runs
	Waiting bool   `json:"waiting"` // was changed and takes effect after a restart
}

// Credit is a budget of bytes.
type Credit struct {
	Used  int64 `json:"used" unit:"bytes" metric:"credit_used_bytes" help:"Bytes of messages and calls that are being sent or handled."`
	Limit int64 `json:"limit" unit:"bytes" metric:"credit_limit_bytes" help:"Most bytes of messages and calls that may be sent or handled at a time: limits.node_credit."`
}

// PeerList is a list of peers that describes only the requested ones. Its JSON is a list
// of [Peer].
type PeerList interface {
	json.Marshaler
	Len() int
	// Slice describes the peers from..to-1.
	Slice(from, to int) []Peer
	// Find describes the peer with a node id or a public key, in full or, if no other
	// begins so, the beginning of it.
	Find(id string) (Peer, bool)
}

// Peer is one element of the section "peers", a [PeerList] or a []Peer.
type Peer struct {
	NodeID       string    `json:"node_id"`
	PublicKey    string    `json:"public_key"`
	Features     string    `json:"features"`
	UserAgent    string    `json:"user_agent"`
	Protocols    []string  `json:"protocols"`
	Addresses    []Address `json:"addresses"`
	BannedUntil  time.Time `json:"banned_until,omitzero"`
	BanReason    string    `json:"ban_reason,omitempty"`
	OfflineSince time.Time `json:"offline_since,omitzero"`
	Pool         string    `json:"pool"`                // why the node wants it: neighbour, random, protected or seed, in this order, or none
	Connection   *string   `json:"connection"`          // id, or null
	EndedAt      time.Time `json:"ended_at,omitzero"`   // end of its last connection, if that is remembered
	EndedWhy     string    `json:"ended_why,omitempty"` // the reason for that end, and the side that ended it
	NextDialAt   time.Time `json:"next_dial_at,omitzero"`
	AddedAt      time.Time `json:"added_at,omitzero"`
}

// Address is one address of a peer with its statistics. Latency is in milliseconds, 0
// when it was never measured.
type Address struct {
	Addr        string    `json:"addr"`
	Source      string    `json:"source"`
	LastOK      time.Time `json:"last_ok,omitzero"`
	LastAttempt time.Time `json:"last_attempt,omitzero"`
	LastError   string    `json:"last_error,omitempty"`
	LastCode    string    `json:"last_code,omitempty"` // of package inspect/codes: why the last dial failed, if the node remembers it
	Attempts    int       `json:"attempts"`
	Failures    int       `json:"failures"`
	LatencyMS   float64   `json:"latency_ms"`
	Score       float64   `json:"score" unit:"score"`
}

// Connection is one element of the section "connections", a []Connection.
// A closed one has ClosedAt, CloseReason and ClosedBy.
type Connection struct {
	ID           string      `json:"id"`
	Peer         string      `json:"peer"` // node id
	Direction    string      `json:"direction"`
	Transport    string      `json:"transport"`
	Local        string      `json:"local,omitempty"` // this machine's IP address at its end
	Remote       string      `json:"remote"`
	OpenedAt     time.Time   `json:"opened_at"`
	AgeMS        int64       `json:"age_ms"`
	Handshake    Handshake   `json:"handshake_ms"`
	RTTMS        float64     `json:"rtt_ms"`
	LastPongAt   time.Time   `json:"last_pong_at,omitzero"` // when the round trip was measured
	SilentMS     int64       `json:"silent_ms,omitzero"`    // since the last byte, if an answer has been due for 5 s
	Substreams   []Substream `json:"substreams"`            // at most 100, those that were opened first
	BytesIn      uint64      `json:"bytes_in"`
	BytesOut     uint64      `json:"bytes_out"`
	MessagesIn   uint64      `json:"msgs_in" label:"Messages in"`
	MessagesOut  uint64      `json:"msgs_out" label:"Messages out"`
	PendingBytes int64       `json:"pending_bytes"` // of messages to the peer that wait or are not confirmed yet, with what each costs
	Credit       Credit      `json:"credit"`        // of the peer's messages that are being handled, or wait for it
	Stalls       uint64      `json:"stalls"`        // writes that had to wait because the peer did not read
	Protected    []string    `json:"protected"`     // the tags of who has it kept open
	ClosedAt     time.Time   `json:"closed_at,omitzero"`
	CloseReason  string      `json:"close_reason,omitempty"`
	ClosedBy     string      `json:"closed_by,omitempty"`
}

// Handshake are the durations of the steps of a connection's set-up, in milliseconds.
type Handshake struct {
	Dial     float64 `json:"dial" unit:"ms"` // the name, the proxy and TCP; 0 for an inbound one
	Wire     float64 `json:"wire" unit:"ms"`
	Noise    float64 `json:"noise" unit:"ms"`
	Identity float64 `json:"identity" unit:"ms"`
}

// Substream is one substream of a connection.
type Substream struct {
	ID         uint32    `json:"id"`
	Protocol   string    `json:"protocol"`
	Direction  string    `json:"direction"`
	OwnerActor string    `json:"owner_actor"` // that has it, or has asked for it
	OpenedAt   time.Time `json:"opened_at,omitzero"`
	BytesIn    uint64    `json:"bytes_in"`
	BytesOut   uint64    `json:"bytes_out"`
	Window     uint32    `json:"window"` // bytes that the peer takes now
}
