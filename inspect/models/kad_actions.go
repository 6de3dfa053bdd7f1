package models

import "time"

// KadContacts is the content of the section "kad-peers": the routing tables.
type KadContacts struct {
	Client   string       `json:"client"`
	Contacts []KadContact `json:"contacts"` // by bucket, those live longest first
}

// KadPublications is the content of the section "kad-own": what the clients publish.
type KadPublications struct {
	Client       string           `json:"client"`
	Publications []KadPublication `json:"publications"`
	Error        string           `json:"error,omitempty"` // why these are not known
}

// KadPublication is a record that a client publishes.
type KadPublication struct {
	Key       string    `json:"key"`
	Kind      string    `json:"kind"`
	Bytes     int       `json:"bytes"`
	Seq       uint64    `json:"seq,omitempty"`
	Deleted   bool      `json:"deleted,omitempty"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	DueAt     time.Time `json:"due_at,omitzero"` // it is published next
}

// KadRecord is a record that was found. Value is base64 in JSON.
type KadRecord struct {
	Key       string    `json:"key"`
	Kind      string    `json:"kind"`
	Value     []byte    `json:"value"`
	PublicKey string    `json:"public_key,omitempty"`
	Salt      []byte    `json:"salt,omitempty"`
	Seq       uint64    `json:"seq,omitempty"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
}

// KadPut asks a client to publish a value. Bytes are base64 in JSON.
type KadPut struct {
	Value []byte `json:"value,omitempty"`
	// Seed is the secret of an Ed25519 key, 32 bytes: the value is signed. Without it the
	// value is immutable.
	Seed   []byte        `json:"seed,omitempty"`
	Salt   []byte        `json:"salt,omitempty"`
	TTL    time.Duration `json:"ttl,omitempty"` // nanoseconds; 0: a day
	Delete bool          `json:"delete,omitempty"`
}

// KadReport is what became of a record that was published.
type KadReport struct {
	Key      string       `json:"key"`
	Seq      uint64       `json:"seq,omitempty"`
	Accepted int          `json:"accepted"` // how many nodes store it, or were sent it
	Quorum   int          `json:"quorum"`   // how many had to
	Outcomes []KadOutcome `json:"outcomes"`
	Error    string       `json:"error,omitempty"` // why fewer than the quorum store it
}

// KadOutcome is what became of a record at one node.
type KadOutcome struct {
	ID          string  `json:"id"`
	State       string  `json:"state"` // stored, refused, no answer, sent
	LifeSeconds float64 `json:"life_seconds,omitempty"`
	Why         string  `json:"why,omitempty"`
}

// KadConnected is a node that has answered.
type KadConnected struct {
	ID        string   `json:"id"`
	Addresses []string `json:"addresses"`
}

// KadForgotten says that a client does not publish a record any more.
type KadForgotten struct {
	Key string `json:"key"`
}

// KadStep is one step of a lookup, or its end: then Step is nil.
type KadStep struct {
	Step *KadHop `json:"step,omitempty"`
	End  *KadEnd `json:"end,omitempty"`
}

// KadHop is a contact whose state in a lookup has changed.
type KadHop struct {
	AtSeconds   float64  `json:"at_seconds"` // since the lookup began
	Hop         int      `json:"hop"`
	Rank        int      `json:"rank"` // by distance among the known contacts, from 1
	ID          string   `json:"id"`
	Addresses   []string `json:"addresses"`
	State       string   `json:"state"`
	TookSeconds float64  `json:"took_seconds,omitempty"`
	Gained      int      `json:"gained,omitempty"` // contacts nearer than the teller
	Record      bool     `json:"record,omitempty"` // it gave the value
	BestBefore  int      `json:"best_before"`      // bits that the nearest known contact shares with the target
	Best        int      `json:"best"`
}

// KadEnd is the end of a lookup.
type KadEnd struct {
	Reason      string         `json:"reason"`
	Hops        int            `json:"hops"`
	Asked       int            `json:"asked"`
	Answers     int            `json:"answers"`
	Failures    int            `json:"failures"`
	Slowed      int            `json:"slowed"`
	Bytes       int            `json:"bytes"`
	TookSeconds float64        `json:"took_seconds"`
	Record      *KadRecord     `json:"record,omitempty"`
	Nearest     []KadConnected `json:"nearest,omitempty"` // without a record
}
