package models

import "time"

// PeerDone is the answer to an action on one peer.
type PeerDone struct {
	NodeID     string `json:"node_id"`
	PublicKey  string `json:"public_key,omitempty"`  // "": it is not known
	Address    string `json:"address,omitempty"`     // of a connection that was made elsewhere than at the given addresses
	GivenError string `json:"given_error,omitempty"` // … and why these did not work

	BannedUntil time.Time `json:"banned_until,omitzero"` // end of the ban, after a ban
}

// Pong is the answer to a ping of one peer.
type Pong struct {
	NodeID    string  `json:"node_id"`
	RTTMS     float64 `json:"rtt_ms"`
	DialMS    float64 `json:"dial_ms,omitzero"` // how long the dial took that made the connection; 0: there was one
	Address   string  `json:"address"`          // of the connection's other end
	Transport string  `json:"transport"`
	Direction string  `json:"direction"` // "outbound": this node has dialled
}

// Imported is the answer after an import of peers.
type Imported struct {
	Added   int `json:"added"`
	Merged  int `json:"merged"`
	Skipped int `json:"skipped"` // the node itself, and records that are only bans of allowed peers
}

// Why is the node's explanation of its relation to a peer and of its own choices.
type Why struct {
	NodeID      string            `json:"node_id"`
	PublicKey   string            `json:"public_key,omitempty"`
	Addresses   int               `json:"addresses"` // number of known addresses
	BannedUntil time.Time         `json:"banned_until,omitzero"`
	BanReason   string            `json:"ban_reason,omitempty"`
	NotAdmitted bool              `json:"not_admitted,omitempty"` // this node has connections with listed peers alone, and it is not listed
	Connected   bool              `json:"connected"`
	Direction   string            `json:"direction,omitempty"` // of the connection
	Remote      string            `json:"remote,omitempty"`    // … its address
	Since       time.Time         `json:"since,omitzero"`      // … when it was made
	Lost        string            `json:"lost,omitempty"`      // if not connected: why its last connection ended, and which side ended it
	LostAt      time.Time         `json:"lost_at,omitzero"`
	SilentMS    int64             `json:"silent_ms,omitempty"`   // if connected: for how long nothing has come, where an answer is due
	MovedFrom   string            `json:"moved_from,omitempty"`  // if connected: IP address of its last connection, if it differs
	MovedAt     time.Time         `json:"moved_at,omitzero"`     // … when that one ended
	NotTaken    []string          `json:"not_taken,omitempty"`   // sentences on the protocols on which it accepts no messages of ours
	NextDialAt  time.Time         `json:"next_dial_at,omitzero"` // when the node will dial it again by itself, if it will
	Protected   []string          `json:"protected"`             // the tags of who has its connection kept open
	Pools       []string          `json:"pools"`                 // why the node wants it: neighbour, random, seed
	Asked       *WhyAsked         `json:"asked,omitempty"`       // how it has answered, if it is a seed or was asked in the last round; nil: neither
	Stored      *StoreForwardPeer `json:"stored,omitempty"`      // how it has answered requests for stored messages; nil: it was not asked
	Kad         []string          `json:"kad,omitempty"`         // sentences on what it is to the clients of the key-value DHT
	Tor         string            `json:"tor,omitempty"`         // whether the last dial failed at this machine's Tor or beyond it
	Dialling    *WhyDialling      `json:"dialling,omitempty"`    // the dial that is under way; nil: none
	Because     *Notice           `json:"because,omitempty"`     // if not connected: why the last dial failed; nil: none has since its last connection
	Tried       int               `json:"tried,omitempty"`       // dials that have failed since its last connection
	Known       []Address         `json:"known,omitempty"`       // its addresses
	Others      *WhyOthers        `json:"others,omitempty"`      // if not connected: how it stands with other peers
	NotReached  *Notice           `json:"not_reached,omitempty"` // if not connected: why others cannot connect to this node
	Refused     []WhyRefused      `json:"refused,omitempty"`     // connections of it, or of its addresses, that this node has refused in the last hour
	Source      string            `json:"source,omitempty"`      // the IP address of which this tells, in place of a peer
	Peers       []string          `json:"peers,omitempty"`       // … ids of known peers with an address there, at most 100
	At          time.Time         `json:"at,omitzero"`           // time of the last choice that considered it; zero: none is remembered
	Purpose     string            `json:"purpose,omitempty"`
	Missing     int               `json:"missing,omitempty"`
	Wanted      int               `json:"wanted,omitempty"`
	Considered  int               `json:"considered,omitempty"`
	Candidates  []WhyCandidate    `json:"candidates"`
	Dials       []WhyDial         `json:"dials"`
}

// WhyOthers are the other nodes that this one reaches, or has tried to reach in the last ten minutes.
type WhyOthers struct {
	Reached int    `json:"reached"`       // are connected
	Away    int    `json:"away"`          // were dialled, and not reached
	Who     string `json:"who,omitempty"` // the one that is away, if it is one alone
}

// WhyRefused are connections that this node has refused for one reason.
type WhyRefused struct {
	Code    string    `json:"code"`
	Why     string    `json:"why"` // in words
	Count   int       `json:"count"`
	FirstAt time.Time `json:"first_at"`
	LastAt  time.Time `json:"last_at"`
}

// WhyDialling is a dial that has not ended.
type WhyDialling struct {
	Since   time.Time `json:"since"`
	Address string    `json:"address,omitempty"` // the one that is tried now; "": none yet
	By      string    `json:"by,omitempty"`      // who asked for it
}

// WhyAsked is how a node has answered when it was asked last for the peers that it knows.
type WhyAsked struct {
	At       time.Time `json:"at,omitzero"` // zero: it was not asked yet
	Answered bool      `json:"answered"`
	Peers    int       `json:"peers"`         // that it told of
	New      *int      `json:"new,omitempty"` // of these, not known before; nil: that is not remembered
	Error    string    `json:"error,omitempty"`
}

// WhyCandidate is a peer that a choice considered.
type WhyCandidate struct {
	Rank    int                `json:"rank"`
	NodeID  string             `json:"node_id"`
	Score   float64            `json:"score" unit:"score"`
	Parts   map[string]float64 `json:"parts" unit:"score"`
	Chosen  bool               `json:"chosen"`
	Verdict string             `json:"verdict"`
}

// WhyDial is one dial of a peer.
type WhyDial struct {
	At     time.Time `json:"at"`
	Addr   string    `json:"addr"`
	Stage  string    `json:"stage,omitempty"`
	Error  string    `json:"error,omitempty"`
	Code   string    `json:"code,omitempty"` // of package inspect/codes: why it has failed
	TookMS float64   `json:"took_ms"`
	By     string    `json:"by"`
}
