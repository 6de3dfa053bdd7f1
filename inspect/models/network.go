package models

import "time"

// Network is the content of the section "network": what the node does to find others, and
// which peers it wants to be connected to.
type Network struct {
	On        bool             `json:"on"`        // the node takes part in the DHT
	Automatic bool             `json:"automatic"` // it looks for others of its own accord
	Summary   string           `json:"summary"`   // in words
	Known     int              `json:"known"`     // peers in the store
	Seeds     []NetworkSeed    `json:"seeds" metric:"seeds" help:"Seeds of the settings."`
	SeedNames NetworkSeedNames `json:"seed_names"`
	Join      NetworkJoin      `json:"join"`
	Sync      NetworkSync      `json:"sync"`
	Searches  NetworkSearches  `json:"searches"`
	Neighbour NetworkSet       `json:"neighbours" with:"set=neighbours"`
	Random    NetworkSet       `json:"random" with:"set=random"`
	Dialling  int              `json:"dialling" metric:"network_dialling" help:"Peers that are being dialled as neighbours or random peers."` // peers that are being dialled for the two sets
	Service   NetworkService   `json:"service"`
}

// NetworkSeed is a configured seed and how it answered last.
type NetworkSeed struct {
	NodeID    string    `json:"node_id"`
	AskedAt   time.Time `json:"asked_at,omitzero"` // zero: it was not asked yet
	Answered  bool      `json:"answered" metric:"seeds_answered" help:"Seeds that have answered when they were asked last."`
	Peers     int       `json:"peers"` // that it told of
	Error     string    `json:"error,omitempty"`
	Connected bool      `json:"connected" metric:"seeds_connected" help:"Seeds that are connected."`
}

// NetworkSeedNames are the DNS names that name seeds.
type NetworkSeedNames struct {
	Names      []string `json:"names,omitempty"`
	BadRecords int      `json:"bad_records,omitempty"` // that do not name a seed
	Error      string   `json:"error,omitempty"`
}

// NetworkJoin describes the announcements of this node and of others.
type NetworkJoin struct {
	LastAt    time.Time         `json:"last_at,omitzero"`
	Nodes     int               `json:"nodes"`     // to which the last one was sent
	Confirmed int               `json:"confirmed"` // of these, those that have it
	Error     string            `json:"error,omitempty"`
	NextAt    time.Time         `json:"next_at,omitzero"`
	Heard     uint64            `json:"heard" metric:"network_joins_total" help:"Announcements of other nodes that were heard."`
	Stored    uint64            `json:"stored"`
	Relayed   uint64            `json:"relayed"`
	Refused   map[string]uint64 `json:"refused,omitempty"` // by reason
}

// NetworkSync describes the rounds in which the node asks others for peers.
type NetworkSync struct {
	Phase        string    `json:"phase"`
	NextAt       time.Time `json:"next_at,omitzero"`
	Round        int       `json:"round" metric:"network_rounds_total" help:"Rounds in which nodes were asked for the peers that they know."`
	LastAt       time.Time `json:"last_at,omitzero"`
	Asked        int       `json:"asked" metric:"network_asked_nodes" help:"Nodes that were asked for peers in the last round."`
	Answered     int       `json:"answered" metric:"network_answered_nodes" help:"Nodes that have answered in the last round of asking for peers."`
	New          int       `json:"new"` // peers
	AlreadyKnown int       `json:"already_known"`
	Skipped      int       `json:"skipped"` // peers without a usable address or signature
	// Answers are those of the nodes that were asked in the last round.
	Answers      []NetworkAnswer `json:"answers"`
	StarvedSince time.Time       `json:"starved_since,omitzero"`
	Rebootstraps int             `json:"rebootstraps"`
}

// NetworkAnswer is what one node told when it was asked for peers.
type NetworkAnswer struct {
	NodeID   string `json:"node_id"`
	Answered bool   `json:"answered"`
	Peers    int    `json:"peers"` // that it told of
	New      int    `json:"new"`   // peers that were not known before
	Error    string `json:"error,omitempty"`
}

// NetworkSearches describes the searches for keys.
type NetworkSearches struct {
	Running  []NetworkSearch   `json:"running"`
	Found    uint64            `json:"found" metric:"searches_total" with:"result=found" help:"Searches for keys that have ended."`
	Failed   uint64            `json:"failed" metric:"searches_total" with:"result=failed"`
	Answered uint64            `json:"answered"`          // searches of others for this node
	Refused  map[string]uint64 `json:"refused,omitempty"` // messages of others, by reason
}

// NetworkSearch is a search that is under way.
type NetworkSearch struct {
	Key     string    `json:"key"`
	Stage   string    `json:"stage"`
	Since   time.Time `json:"since"`
	Waiters int       `json:"waiters"`
}

// NetworkSet is a set of peers that the node wants to be connected to, nearest to it
// first.
type NetworkSet struct {
	Target  int             `json:"target"` // how many it wants
	Members []NetworkMember `json:"members" metric:"network_wanted_peers" help:"Peers that the node wants to be connected to, as neighbours or at random."`
}

// NetworkMember is a peer of a set.
type NetworkMember struct {
	NodeID    string `json:"node_id"`
	Connected bool   `json:"connected" metric:"network_connected_peers" help:"Connected peers, of those that the node wants to be connected to."`
}

// NetworkService counts the requests of others for peers.
type NetworkService struct {
	Served  uint64 `json:"served" metric:"peer_requests_total" with:"result=served" help:"Requests of others for peers."`
	Peers   uint64 `json:"peers"` // handed out
	Refused uint64 `json:"refused" metric:"peer_requests_total" with:"result=refused"`
}

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
