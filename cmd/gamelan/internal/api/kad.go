package api

import (
	"time"

	"github.com/gamelan-p2p/gamelan/dht/kad"
	"github.com/gamelan-p2p/gamelan/dht/kad/record"
)

// KadClient is the name of the client of the key-value DHT that the daemon runs.
const KadClient = "main"

// Hints for those who use the key-value DHT.
const (
	// NoKadHint is for a node that runs no client.
	NoKadHint = "start the node with --kad, or set kad.enabled = true"
	// KadConnectHint is for a client that knows no other node.
	KadConnectHint = "enter the network through a node that runs with --kad: gamelan kad connect KEY::ADDRESS"
)

// MaxKadPut is the length of the longest [KadPut] as JSON, in bytes.
const MaxKadPut = 2*(record.MaxValue+record.MaxSalt) + 1024

// KadPut is the body of POST /v1/kad/put. Bytes are base64 in JSON.
type KadPut struct {
	Value []byte `json:"value,omitempty"`
	// Seed is the secret of an Ed25519 key, 32 bytes: the value is signed. Without it the
	// value is immutable.
	Seed   []byte        `json:"seed,omitempty"`
	Salt   []byte        `json:"salt,omitempty"`
	TTL    time.Duration `json:"ttl,omitempty"` // nanoseconds; 0: a day
	Delete bool          `json:"delete,omitempty"`
}

// ParseKey returns the key, or the id of a node, that is written as 64 hexadecimal digits.
func ParseKey(text string) (kad.ID, error) { return kad.ParseID(text, kad.IDLen) }
