package kad

import (
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// The values of package kad/overlay that the API shows, so that its users import one package.
type (
	ID           = overlay.ID
	Key          = overlay.Key
	Address      = overlay.Address
	Contact      = overlay.Contact
	Record       = overlay.Record
	Message      = overlay.Message
	Packet       = overlay.Packet
	Overlay      = overlay.Overlay
	Hasher       = overlay.Hasher
	Report       = overlay.Report
	Outcome      = overlay.Outcome
	Step         = overlay.Step
	LookupResult = overlay.LookupResult
	View         = overlay.View
	State        = overlay.State
	RTT          = overlay.RTT
	Rate         = overlay.Rate
	Rates        = overlay.Rates
	StoreLimits  = overlay.StoreLimits
	StoreQuota   = overlay.StoreQuota
	TooLarge     = overlay.ValueTooLargeError

	RateLimitedError = overlay.RateLimitedError
)

// The overlays.
const (
	Native = overlay.Native
	Seed   = overlay.Seed
)

// The states of a client.
const (
	Idle          = overlay.Idle
	Bootstrapping = overlay.Bootstrapping
	Ready         = overlay.Ready
	Isolated      = overlay.Isolated
)

// SHA1 is the hash that nodes of the overlay Seed use.
var SHA1 = overlay.SHA1

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
