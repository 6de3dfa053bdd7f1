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

// RefusedPeer is a source whose connections were refused, with one of the keys that it has proved.
type RefusedPeer struct {
	Source    string    `json:"source"`
	PublicKey string    `json:"public_key,omitempty"` // empty: it has proved none, or it is all of the keys of the source but the last 8
	Times     uint64    `json:"times"`                // in the last 10 minutes
	LastAt    time.Time `json:"last_at"`
}

// PrivateNetwork is what a node knows of its private network.
type PrivateNetwork struct {
	Name               string        `json:"name"`
	Secret             string        `json:"secret"`                                                                     // eight digits by which to compare it, which do not tell it
	Accept             string        `json:"accept,omitempty"`                                                           // likewise of a second one, while the first is being changed
	Latecomers         []Latecomer   `json:"latecomers,omitempty"`                                                       // who is connected by the second one, or came by it lately, the newest first
	WithoutSecret      []RefusedPeer `json:"without_secret"`                                                             // dialers of the last 10 minutes, by source, the newest first
	WithoutSecretTotal uint64        `json:"without_secret_total" metric:"admission_refused_total" with:"why=no_secret"` // since the start
}

// Latecomer is a peer that is connected by the second secret of the private network, or came by it lately.
type Latecomer struct {
	NodeID    string    `json:"node_id"`
	At        time.Time `json:"at"` // when it connected by it
	Connected bool      `json:"connected"`
	Earlier   bool      `json:"earlier"` // it connected before this node changed its secrets: it may have the first one by now
}

// Admitted is the answer to a change of the list.
type Admitted struct {
	PublicKey string `json:"public_key"`
	NodeID    string `json:"node_id"`
	Admit     string `json:"admit"` // of the node: with "anyone" the list has no effect
}
