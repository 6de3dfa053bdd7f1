package upkeep

import (
	"time"

	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// Event is an input of the machine.
type Event interface{ event() }

type (
	// Start begins the work. Without contacts in the table the node enters the network,
	// in this order: random ones of Persisted, [Options.Listed], Bootstrap.
	Start struct {
		// Persisted are contacts of an earlier run, not older than five days.
		Persisted []overlay.Contact
		// Bootstrap are addresses of which nothing else is known.
		Bootstrap []overlay.Address
		// Former are former contacts of an earlier run.
		Former []Former
		// Joined says that the table's first self-lookup has ended before: only this
		// machine begins anew.
		Joined bool
	}

	// Added: a contact is live in the table.
	Added struct{ Contact overlay.Contact }

	// Asked: a node has asked this one something. It counts until this node is ready: the
	// first node of a network has nobody else to ask.
	Asked struct{ Contact overlay.Contact }

	// Removed: a contact is not live any more, after it was for Lived. Banned contacts
	// are neither former contacts nor losses.
	Removed struct {
		Contact overlay.Contact
		Lived   time.Duration
		Banned  bool
	}

	// Probed: a probe has ended.
	Probed struct {
		Contact  overlay.Contact // of the Probe
		Answered bool
	}

	// LookedUp: a lookup has ended that this machine wanted, or that somebody else began.
	LookedUp struct {
		Target  overlay.ID
		Nearest []overlay.Contact
	}

	// Held: this node stores a record for others since now, or was just given it again.
	Held struct{ Key overlay.Key }

	// Dropped: this node stores the record no more, or as a cached copy only.
	Dropped struct{ Key overlay.Key }

	// Replicated: the work of a Replicate has ended.
	Replicated struct{ Key overlay.Key }

	// Own: this node publishes a record, next at Due.
	Own struct {
		Key overlay.Key
		Due time.Time
	}

	// Forgotten: this node publishes the record no more.
	Forgotten struct{ Key overlay.Key }

	// Published: the work of a Publish has ended. OK says that enough nodes store the
	// record; otherwise it is tried again soon.
	Published struct {
		Key overlay.Key
		OK  bool
	}

	// Due reports that the time of the last Wake has come.
	Due struct{}
)

func (Start) event()      {}
func (Added) event()      {}
func (Asked) event()      {}
func (Removed) event()    {}
func (Probed) event()     {}
func (LookedUp) event()   {}
func (Held) event()       {}
func (Dropped) event()    {}
func (Replicated) event() {}
func (Own) event()        {}
func (Forgotten) event()  {}
func (Published) event()  {}
func (Due) event()        {}

// Effect is an action for the machine's owner.
type Effect interface{ effect() }

type (
	// Probe: ask the contact for this node's own id. One Probed follows. Without an id it
	// is an address of which nothing else is known.
	Probe struct {
		Contact overlay.Contact
		Why     Why
	}

	// Lookup: search for the nodes nearest to Target. One LookedUp follows.
	Lookup struct {
		Target overlay.ID
		Why    Why
	}

	// Replicate: store the record again at the nodes nearest to its key, for its remaining
	// life. One Replicated follows.
	Replicate struct{ Key overlay.Key }

	// Publish: publish the record. One Published follows.
	Publish struct{ Key overlay.Key }

	// Joined: the first lookup of this node's own id has ended.
	Joined struct{}

	// Changed: the node's state is another one, or Answered and Asked have changed in
	// Bootstrapping.
	Changed struct {
		State           overlay.State
		Answered, Asked int
	}

	// Churn: half of the contacts live as long as that.
	Churn struct{ HalfLife time.Duration }

	// Wake: send Due at At. It replaces an earlier Wake.
	Wake struct{ At time.Time }
)

// Once reports whether the request is sent once only, also where requests get lost: nearly all
// former contacts have left, and those that have not are probed again later.
func (p Probe) Once() bool { return p.Why == ForFormer }

func (Probe) effect()     {}
func (Lookup) effect()    {}
func (Replicate) effect() {}
func (Publish) effect()   {}
func (Joined) effect()    {}
func (Changed) effect()   {}
func (Churn) effect()     {}
func (Wake) effect()      {}

// Why says what a probe or a lookup is for.
type Why uint8

// The reasons.
const (
	ForBootstrap Why = iota + 1 // probe: to enter the network
	ForFormer                   // probe: a contact that was lost
	ForPersisted                // probe: a contact of an earlier run that was not needed to enter the network
	ForOthers                   // probe: a bootstrap address, to find another part of the network
	ForSelf                     // lookup: this node's own id
	ForRange                    // lookup: a range that no lookup has touched
)

// String returns the reason in words.
func (w Why) String() string {
	switch w {
	case ForBootstrap:
		return "bootstrap"
	case ForFormer:
		return "former contact"
	case ForPersisted:
		return "contact of an earlier run"
	case ForOthers:
		return "bootstrap address"
	case ForSelf:
		return "own id"
	case ForRange:
		return "range"
	}
	return "unknown"
}
