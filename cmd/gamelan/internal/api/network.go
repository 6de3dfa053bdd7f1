package api

// Hints for a node that has not found its network.
const (
	// ConnectHint is the hint for a node without connections.
	ConnectHint = `connect it first: gamelan dial KEY::ADDRESS, or name seeds with --peer KEY::ADDRESS; "gamelan network status" shows what the seeds answered`
	// SearchHint is the hint for a key that nobody knows.
	SearchHint = `check the key, and with "gamelan network status" whether this node has found its network; if you know an address: gamelan peers add KEY::ADDRESS`
)
