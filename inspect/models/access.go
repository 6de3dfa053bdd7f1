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

// AccessLink is a link for a browser. It works once.
type AccessLink struct {
	URL   string    `json:"url"`
	Scope string    `json:"scope"` // "read" or "admin"
	Until time.Time `json:"until"`
}
