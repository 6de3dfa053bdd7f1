// Package api holds what the command says of peers and of the key-value DHT: their text forms, and
// hints with its commands.
package api

import (
	"github.com/gamelan-p2p/gamelan/inspect/control"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// TextType is the type of the messages that gamelan send sends over the DHT.
const TextType = control.TextType

// KadClient is the name of the client of the key-value DHT that the daemon runs.
const KadClient = "main"

// Hints for a node that has not found its network, or lacks something.
const (
	// ConnectHint is the hint for a node without connections.
	ConnectHint = `connect it first: gamelan dial KEY::ADDRESS, or name seeds with --peer KEY::ADDRESS; "gamelan network status" shows what the seeds answered`
	// SearchHint is the hint for a key that nobody knows.
	SearchHint = `check the key, and with "gamelan network status" whether this node has found its network; if you know an address: gamelan peers add KEY::ADDRESS`
	// NoDHTHint is the hint for a node without the DHT.
	NoDHTHint = "start it without --no-dht, and with dht.enabled = true in the settings, which is the default"
	// NoKadHint is for a node that runs no client of the key-value DHT.
	NoKadHint = "start the node with --kad, or set kad.enabled = true"
	// KadConnectHint is for a client of the key-value DHT that knows no other node.
	KadConnectHint = "enter the network through a node that runs with --kad: gamelan kad connect KEY::ADDRESS"
)

// ParseKey returns the key, or the id of a node, that is written as 64 hexadecimal digits.
func ParseKey(text string) (overlay.ID, error) { return overlay.ParseID(text, overlay.IDLen) }
