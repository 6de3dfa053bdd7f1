package models

import "time"

// Tor is the content of the section "tor": the Tor through which the node connects, and the
// node's onion service. Without an onion service only Transports and Summary are set.
type Tor struct {
	On         bool     `json:"on"`         // the node has an onion service
	Transports []string `json:"transports"` // names of those by which the node connects
	Summary    string   `json:"summary"`    // in one sentence
	Trouble    string   `json:"trouble"`    // what is wrong and what to do; empty: nothing

	Control     string    `json:"control"` // away, connecting, authenticating, ready, stopping or ended
	Since       time.Time `json:"since,omitzero"`
	Error       string    `json:"error"` // why there is no control connection
	Version     string    `json:"version"`
	Bootstrap   int       `json:"bootstrap"` // percent
	Circuits    bool      `json:"circuits" metric:"tor_circuits" help:"1 while Tor can reach its network, else 0; only with an onion service."`
	Offline     bool      `json:"offline"` // Tor thinks that this machine has no network
	Proxy       string    `json:"proxy"`   // Tor's SOCKS listener; empty if the settings name the proxy
	NewCircuits int       `json:"new_circuits"`

	Onion        string    `json:"onion"` // the address
	State        string    `json:"state"` // unpublished, adding, added, published, publish failed, collision or refused
	StateSince   time.Time `json:"state_since,omitzero"`
	Reachable    bool      `json:"reachable" metric:"tor_reachable" help:"1 while the onion service can be reached, else 0."`
	AdvertisedAt time.Time `json:"advertised_at,omitzero"` // when peers were first told of the address
}
