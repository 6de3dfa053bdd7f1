package api

import "github.com/gamelan-p2p/gamelan/dht/kad"

// KadClient is the name of the client of the key-value DHT that the daemon runs.
const KadClient = "main"

// Hints for those who use the key-value DHT.
const (
	// NoKadHint is for a node that runs no client.
	NoKadHint = "start the node with --kad, or set kad.enabled = true"
	// KadConnectHint is for a client that knows no other node.
	KadConnectHint = "enter the network through a node that runs with --kad: gamelan kad connect KEY::ADDRESS"
)

// ParseKey returns the key, or the id of a node, that is written as 64 hexadecimal digits.
func ParseKey(text string) (kad.ID, error) { return kad.ParseID(text, kad.IDLen) }
