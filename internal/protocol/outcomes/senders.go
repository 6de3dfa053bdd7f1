package outcomes

import (
	"encoding/binary"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
)

// Senders knows the messages with ids of each sender, and tells the senders what became of them. The
// inbox keeps what it knows on the disk, in the same writes as the messages. None of the methods waits.
type Senders interface {
	// States returns what the store is to have of these senders, if these messages are kept, handled and dropped beside
	// those of earlier writes, and of all that were forgotten. Sync says that a sender waits for the disk.
	States(kept, handled, dropped []MessageID) (states []Remembered, sync bool)
	// Stored says that states of an earlier call are on the synced disk.
	Stored([]Remembered)
	// Loaded says which messages that were kept can be read at the start. Of others nobody knows.
	Loaded([]MessageID)
	// Kept, Handled and Dropped say that this is on the synced disk.
	Kept([]MessageID)
	Handled([]MessageID)
	Dropped([]MessageID)
	// Lost says that messages cannot be read.
	Lost([]MessageID)
}

// Remembered is what is known of an epoch of a sender. That of nobody is the name of new books: see [Named].
type Remembered struct {
	From   identity.PublicKey
	Epoch  Epoch
	State  []byte    // of [Book]; nil: it is forgotten
	Used   time.Time // by the system's clock, to the second
	Serial uint64    // of what is forgotten, for Stored; it is not on the disk
}

// Named returns what remembers the name of new books.
func Named(s Store) Remembered {
	return Remembered{State: binary.BigEndian.AppendUint64(nil, uint64(s))}
}

// Named reports whether r remembers the name of new books, and not a sender.
func (r *Remembered) Named() bool { return r.From.IsZero() && r.Epoch == 0 && len(r.State) == 8 }

// Name returns the name that r remembers.
func (r *Remembered) Name() Store { return Store(binary.BigEndian.Uint64(r.State)) }
