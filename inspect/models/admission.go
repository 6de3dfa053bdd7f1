package models

import "time"

// Admission is the content of the section "admission": with whom the node has connections.
type Admission struct {
	Summary string `json:"summary"`
	Admit   string `json:"admit"`   // "anyone" or "listed"
	Program bool   `json:"program"` // the program decides as well

	Listed       []AdmittedPeer `json:"listed"`
	Refused      []RefusedPeer  `json:"refused"` // of the last 10 minutes, by source, the newest first
	RefusedTotal uint64         `json:"refused_total" metric:"admission_refused_total" with:"why=not_admitted" help:"Connections that were refused because the peer is not admitted, or has not the secret of the private network."`

	Private *PrivateNetwork `json:"private,omitempty"` // nil: the node is in no private network
}

// AdmittedPeer is a peer on the list.
type AdmittedPeer struct {
	PublicKey string    `json:"public_key"`
	NodeID    string    `json:"node_id"`
	Since     time.Time `json:"since,omitzero"` // zero: it is a seed of the settings, which is not on the list itself
	Connected bool      `json:"connected"`
}

// RefusedPeer is a source whose connections were refused.
type RefusedPeer struct {
	Source    string    `json:"source"`
	PublicKey string    `json:"public_key,omitempty"` // that it has proved last
	Times     uint64    `json:"times"`
	LastAt    time.Time `json:"last_at"`
}

// PrivateNetwork is what a node knows of its private network.
type PrivateNetwork struct {
	Name               string        `json:"name"`
	Accepts            bool          `json:"accepts"`                                                                    // a second secret, while the first is being changed
	Latecomer          string        `json:"latecomer,omitempty"`                                                        // node id of the last peer that has connected with the second one
	LatecomerAt        time.Time     `json:"latecomer_at,omitzero"`                                                      // when that was
	WithoutSecret      []RefusedPeer `json:"without_secret"`                                                             // dialers of the last 10 minutes, by source, the newest first
	WithoutSecretTotal uint64        `json:"without_secret_total" metric:"admission_refused_total" with:"why=no_secret"` // since the start
}

// Admitted is the answer to a change of the list.
type Admitted struct {
	PublicKey string `json:"public_key"`
	NodeID    string `json:"node_id"`
	Admit     string `json:"admit"` // of the node: with "anyone" the list has no effect
}
