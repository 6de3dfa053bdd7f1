package models

import "time"

// Access is the content of the section "inspect": the API and the page over TCP.
type Access struct {
	On          bool   `json:"on"`
	URL         string `json:"url,omitempty"`         // by which others reach it
	TLS         bool   `json:"tls"`                   // without it, only this machine does
	Fingerprint string `json:"fingerprint,omitempty"` // of a certificate for which nobody else vouches: "sha256:" and 64 hexadecimal digits

	Connections    int `json:"connections"`
	MaxConnections int `json:"max_connections"`
	MaxOfSource    int `json:"max_of_source"` // connections of one IPv4 address, or one IPv6 /64
	Sessions       int `json:"sessions"`
	MaxSessions    int `json:"max_sessions"`
	Links          int `json:"links"` // that nobody has opened yet

	Refused AccessRefused `json:"refused"`
}

// AccessRefused are the requests that were refused since the start, by what was wrong.
type AccessRefused struct {
	Credential  uint64 `json:"credential"` // no token, or a wrong one, or a link or session that is over
	TooMany     uint64 `json:"too_many"`   // of these, beyond the limit of their source
	Host        uint64 `json:"host"`
	Origin      uint64 `json:"origin"` // from a page of another site
	Scope       uint64 `json:"scope"`  // more than the token, or the way, allows
	Connections uint64 `json:"connections"`
}

// AccessSession is what the sender of a request over TCP may do: the answer at /session.
type AccessSession struct {
	Scope   string    `json:"scope"`          // "read" or "admin"; "nothing": the session was ended
	Until   time.Time `json:"until,omitzero"` // end of a browser's session; zero: it came with a token
	Private bool      `json:"private"`        // messages and values are shown

	Names map[string]string `json:"names,omitempty"` // what the operator calls peers, by node id
}

// AccessLink is a link for a browser. It works once.
type AccessLink struct {
	URL   string    `json:"url"`
	Scope string    `json:"scope"` // "read" or "admin"
	Until time.Time `json:"until"`
}
