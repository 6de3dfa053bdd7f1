package api

// Synced is the answer after a round of asking nodes for the peers that they know.
type Synced struct {
	Asked        int          `json:"asked"`    // nodes
	Answered     int          `json:"answered"` // of these
	New          int          `json:"new"`      // peers that were not known before
	AlreadyKnown int          `json:"already_known"`
	Skipped      int          `json:"skipped"` // peers without a usable address or signature
	Nodes        []SyncedNode `json:"nodes"`
}

// SyncedNode is what one node gave.
type SyncedNode struct {
	NodeID   string `json:"node_id"`
	Seed     bool   `json:"seed"`
	Answered bool   `json:"answered"`
	Peers    int    `json:"peers"` // that it told of
	New      int    `json:"new"`
	Error    string `json:"error,omitempty"`
}

// Hints for a node that has not found its network.
const (
	// ConnectHint is the hint for a node without connections.
	ConnectHint = `connect it first: gamelan dial KEY::ADDRESS, or name seeds with --peer KEY::ADDRESS; "gamelan network status" shows what the seeds answered`
	// SearchHint is the hint for a key that nobody knows.
	SearchHint = `check the key, and with "gamelan network status" whether this node has found its network; if you know an address: gamelan peers add KEY::ADDRESS`
)
