package kad

import (
	"crypto"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/kad/overlay"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

type (
	// putOwn has a record published. Reply: ownStored, when it is on the disk.
	putOwn struct {
		record *overlay.Record
		ttl    time.Duration
		signer crypto.Signer
	}
	ownStored struct{ err error }

	// forgetOwn ends a publication. Reply: forgotten.
	forgetOwn struct{ key Key }
	forgotten struct {
		found bool
		err   error
	}

	listOwn struct{}
	ownList struct{ list []Publication }

	// readRecord asks for a record that is to be stored again. Reply: recordRead.
	readRecord struct {
		token uint64
		key   Key
		own   bool
	}
	recordRead struct {
		token  uint64
		record *overlay.Record // nil: there is none any more
		life   time.Duration
		cached bool
	}

	// readLocal asks for a record that this node has. Reply: localRecord.
	readLocal struct {
		key   Key
		stale time.Duration
	}
	localRecord struct {
		record *overlay.Record // nil: none
		// enough says that the network need not be asked.
		enough bool
	}

	// confirmed: the network has just agreed on a record.
	confirmed struct{ record *overlay.Record }

	// ownDue: a publication was published, and is due next at due. It says nothing of another
	// record under its key.
	ownDue struct {
		record *overlay.Record
		due    time.Time
	}
	demote     struct{ key Key }
	tellUpkeep struct{}

	getStore     struct{}
	storeFigures struct{ records, cached, bytes, own int }

	storeDue    struct{}
	storeGather struct{}
	committed   struct{}
	checked     struct{ err error } // of a record
	resigned    struct {
		m      readRecord
		from   *actor.PID
		was    *overlay.Record
		record *overlay.Record // was, signed again
	}
)

// verifying is the key of the task that verifies the signature of a request's record. The key
// owns the request, because a task that panics has no result.
type verifying struct{ m *serving }

// String names the task.
func (verifying) String() string { return "verify" }

// Source and Discard are those of the request.
func (k verifying) Source() supervisor.Source { return k.m.Source() }

// Discard returns the token.
func (k verifying) Discard() { k.m.Discard() }

// Publication is a record that a client publishes.
type Publication struct {
	Record *Record
	Due    time.Time // next, by the clock of [Host.Now]
	Signs  bool      // the client has the signer
}
