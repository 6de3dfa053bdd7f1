// Package api holds what the requests and answers of a gamelan node have beyond
// package inspect, for the node and for those who ask it: answers, and how peers
// and strategies are written.
package api

import "time"

// Peer is the answer after something was done to one peer.
type Peer struct {
	NodeID string `json:"node_id"`
}

// Imported is the answer after an import of peers.
type Imported struct {
	Added   int `json:"added"`
	Merged  int `json:"merged"`
	Skipped int `json:"skipped"` // the node itself, and mere bans of allowed peers
}

// Why is what the node says about a peer and its own choices.
type Why struct {
	NodeID      string      `json:"node_id"`
	PublicKey   string      `json:"public_key,omitempty"`
	Addresses   int         `json:"addresses"` // how many are known
	BannedUntil time.Time   `json:"banned_until,omitzero"`
	BanReason   string      `json:"ban_reason,omitempty"`
	Connected   bool        `json:"connected"`
	Direction   string      `json:"direction,omitempty"` // of the connection
	Remote      string      `json:"remote,omitempty"`    // … its address
	Since       time.Time   `json:"since,omitzero"`      // … when it was made
	Lost        string      `json:"lost,omitempty"`      // why the last connection to it ended, and who ended it, if there is none
	LostAt      time.Time   `json:"lost_at,omitzero"`
	NotTaken    []string    `json:"not_taken,omitempty"`   // sentences: on which protocols it takes no messages of ours
	NextDialAt  time.Time   `json:"next_dial_at,omitzero"` // when the node dials it again of its own accord, if it will
	Protected   []string    `json:"protected"`             // the tags of who protects it
	At          time.Time   `json:"at,omitzero"`           // of the choice; zero: none is remembered
	Purpose     string      `json:"purpose,omitempty"`
	Missing     int         `json:"missing,omitempty"`
	Wanted      int         `json:"wanted,omitempty"`
	Considered  int         `json:"considered,omitempty"`
	Candidates  []Candidate `json:"candidates"`
	Dials       []Dial      `json:"dials"`
}

// Candidate is a peer that a choice looked at.
type Candidate struct {
	Rank    int                `json:"rank"`
	NodeID  string             `json:"node_id"`
	Score   float64            `json:"score"`
	Parts   map[string]float64 `json:"parts"`
	Chosen  bool               `json:"chosen"`
	Verdict string             `json:"verdict"`
}

// Dial is one dial of a peer.
type Dial struct {
	At     time.Time `json:"at"`
	Addr   string    `json:"addr"`
	Stage  string    `json:"stage,omitempty"`
	Error  string    `json:"error,omitempty"`
	TookMS float64   `json:"took_ms"`
	By     string    `json:"by"`
}
