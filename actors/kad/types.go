package kad

import (
	"github.com/gamelan-p2p/gamelan/dht/kad"
	"github.com/gamelan-p2p/gamelan/dht/kad/lookup"
	"github.com/gamelan-p2p/gamelan/dht/kad/put"
	"github.com/gamelan-p2p/gamelan/dht/kad/table"
	"github.com/gamelan-p2p/gamelan/dht/kad/upkeep"
)

// The values of package dht/kad that the API shows, so that its users import one package.
type (
	ID       = kad.ID
	Key      = kad.Key
	Address  = kad.Address
	Contact  = kad.Contact
	Record   = kad.Record
	Message  = kad.Message
	Packet   = kad.Packet
	Overlay  = kad.Overlay
	Hasher   = kad.Hasher
	Report   = put.Report
	Outcome  = put.Outcome
	Step     = lookup.Step
	Found    = lookup.Result
	View     = table.View
	State    = upkeep.State
	TooLarge = kad.ValueTooLargeError

	RateLimitedError = kad.RateLimitedError
)

// The overlays.
const (
	Native = kad.Native
	Seed   = kad.Seed
)

// The states of a client.
const (
	Idle          = upkeep.Idle
	Bootstrapping = upkeep.Bootstrapping
	Ready         = upkeep.Ready
	Isolated      = upkeep.Isolated
)

// SHA1 is the hash that nodes of the overlay Seed use.
var SHA1 = kad.SHA1

// Mode says whether a client serves others. It can change while the client runs.
type Mode uint8

// The modes.
const (
	// Server answers requests, stores records of others, and is named to others.
	Server Mode = iota
	// ClientOnly only asks.
	ClientOnly
)

// String returns server or client.
func (m Mode) String() string {
	if m == ClientOnly {
		return "client"
	}
	return "server"
}
